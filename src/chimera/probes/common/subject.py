"""The input and the result of a probe.

A probe is a function `measure(subject, settings, rng, track) -> Measurement` that reads no file and
no parameter besides these arguments.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from torch import Tensor, nn

from chimera.files.artifacts import Row

_Item = TypeVar("_Item")


class Track(Protocol):
    """Iterates over the units of a probe's work and shows how many are done."""

    def __call__(self, items: Sequence[_Item], /) -> Iterator[_Item]:
        """Yield the items."""


@dataclass(frozen=True)
class Subject:
    """A trained network and the frozen test trajectories.

    The network maps normalised frames (B, C, H, W) to their increment. Trajectories are normalised
    frames (n, T, C, H, W) by axis, `ind` first and then `ood_<axis>`; mean and standard deviation
    (C, 1, 1) are those of the IND train split. `fields` are the names of the channels.
    """

    network: nn.Module
    trajectories: Mapping[str, Tensor]
    mean: Tensor
    std: Tensor
    domain_extent: float
    fields: tuple[str, ...] = ("vorticity",)


@dataclass(frozen=True)
class Measurement:
    """Headline numbers by name, all finite, and the table behind the probe's figure.

    A withheld statistic is absent and counted under a name `withheld...`.
    """

    statistics: dict[str, float]
    rows: list[Row]
