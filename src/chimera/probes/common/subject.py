"""The input and the result of a probe.

A probe is a function `measure(subject, settings, rng, track) -> Measurement` that reads no file and
no parameter besides these arguments.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import Tensor, nn

from chimera.files.artifacts import Row
from chimera.interface.errors import NoSiteError
from chimera.models.forecasting.sites import trace_sites
from chimera.models.forecasting.stepping import evaluation_mode

Track = Callable[[Sequence[Any]], Iterator[Any]]  # iterates over units of work, shows progress


@dataclass(frozen=True)
class Subject:
    """A trained network and the frozen test trajectories.

    The network maps normalised states (B, P C + K, H, W), the fields of P past frames, the newest
    first, and conditioning, to the increment (B, C, H, W) of the newest. Trajectories are
    normalised states (n, T, P C + K, H, W) by axis, `ind` first and then `ood_<axis>`; mean and
    standard deviation (C, 1, 1) are those of the IND train split. `fields` are the names of the C
    fields, `constants` those of the K channels with their mean and standard deviation. `physics`
    has the arguments of chimera.evaluation.forecasters.physics_of for the IND trajectories, None
    where it is unknown.
    """

    network: nn.Module
    trajectories: Mapping[str, Tensor]
    mean: Tensor
    std: Tensor
    domain_extent: float
    fields: tuple[str, ...] = ("vorticity",)
    constants: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    physics: tuple[Any, ...] | None = None
    past_frames: int = 1

    @cached_property
    def sites(self) -> tuple[str, ...]:
        """Names of the network's sites, in the order of its forward pass."""
        with evaluation_mode(self.network):
            return trace_sites(self.network, self.trajectories["ind"][:1, 0])

    def require_sites(self) -> tuple[str, ...]:
        """Return the sites; NoSiteError if there are none."""
        if not self.sites:
            raise NoSiteError("the network has no site, expected modules of class Site or `sites`")
        return self.sites

    def flow(self, axis: str) -> Tensor:
        """Return the newest fields alone of an axis, (n, T, C, H, W)."""
        return self.trajectories[axis][:, :, : len(self.fields)]

    def conditioning(self, axis: str) -> Tensor:
        """Return what is constant in time of an axis, (n, K, H, W)."""
        return self.trajectories[axis][:, 0, self.past_frames * len(self.fields) :]


@dataclass(frozen=True)
class Measurement:
    """Headline numbers by name, and the table behind the probe's figure, whose rows are alike.

    Statistics are finite numbers of Python, none named `rows`, which is the table's name in the
    file. A withheld one is absent and counted under a name `withheld...`; `reported` is the share
    of a probe's values that it reports; `notes` are sentences about what is not.
    """

    statistics: dict[str, float]
    rows: list[Row]
    notes: tuple[str, ...] = ()
