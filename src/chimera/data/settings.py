"""params.yaml's section `data`: what every dataset is made of.

A data config names its datasets in order: the first is IND and has the splits train, valid and
test; every other is one OOD axis and has test alone.
"""

from dataclasses import dataclass
from typing import Literal

from chimera.errors import InputError

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Forcing:
    """Kolmogorov forcing: amplitude sin(wavenumber y) along x, turned by the angle in radians."""

    amplitude: float
    wavenumber: int
    angle: float


@dataclass(frozen=True)
class Dataset:
    """One regime of the flow and how many trajectories of it each split has.

    Attributes:
        trajectories: Number of trajectories by split.
        viscosity: Kinematic viscosity.
        drag: Linear drag, per unit of time.
        forcing: The body force, none for decaying flow.
        initial_peak: Wavenumber where the spectrum of the random initial field peaks.
        warm_up: Time before the first frame.
        max_speed: The flow's largest speed, from which the time step follows.
    """

    trajectories: dict[str, int]
    viscosity: float
    drag: float
    forcing: Forcing | None
    initial_peak: int
    warm_up: float
    max_speed: float


@dataclass(frozen=True)
class GeneratedData:
    """A data config whose source is the solver; conf/data/generated.yaml says what each key is."""

    source: Literal["generated"]
    seed: int
    manifests: str
    domain_extent: float
    num_points: int
    simulated_points: int
    num_frames: int
    frame_interval: float
    datasets: dict[str, Dataset]

    def __post_init__(self) -> None:
        """Refuse what the solver or the study could not use."""
        for name in ("domain_extent", "num_points", "num_frames", "frame_interval"):
            if not getattr(self, name) > 0:
                raise InputError(f"data.{name} is {getattr(self, name)}, expected more than 0")
        if self.simulated_points < self.num_points:
            raise InputError(
                f"data.simulated_points is {self.simulated_points}, "
                f"expected at least data.num_points ({self.num_points})"
            )
        for number, (name, dataset) in enumerate(self.datasets.items()):
            expected = set(SPLITS) if number == 0 else {"test"}
            if set(dataset.trajectories) != expected:
                raise InputError(
                    f"data.datasets.{name}.trajectories has {sorted(dataset.trajectories)}, "
                    f"expected {sorted(expected)}"
                )
            for split, count in dataset.trajectories.items():
                if count < 1:
                    raise InputError(
                        f"data.datasets.{name}.trajectories.{split} is {count}, expected at least 1"
                    )
