"""Section `data` of params.yaml: what every dataset is made of.

A data config names its datasets in order: the first is IND and has the splits train, valid and
test; every other is one OOD axis and has test alone. `source` says where they come from: the
solver, or files that somebody has.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from chimera.interface.errors import InputError
from chimera.interface.settings import (
    Count,
    Finite,
    Index,
    NotNegative,
    Positive,
    Settings,
    read_settings,
)

SPLITS = ("train", "valid", "test")
_MOST_CELLS_CROSSED = 1e7  # by the fastest fluid in a trajectory: a step crosses about one

Trajectories = Annotated[int, Meta(ge=1, le=10**6)]
FrameCount = Annotated[int, Meta(ge=2, le=10**6)]
Points = Annotated[int, Meta(ge=1, le=1 << 14)]


class Forcing(Settings, frozen=True):
    """Kolmogorov forcing: amplitude sin(wavenumber y) along x, turned by the angle in radians."""

    amplitude: Finite
    wavenumber: Count
    angle: Finite


class Dataset(Settings, frozen=True):
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

    trajectories: dict[str, Trajectories]
    viscosity: NotNegative
    drag: NotNegative
    forcing: Forcing | None
    initial_peak: Count
    warm_up: NotNegative
    max_speed: Positive


class GeneratedData(Settings, frozen=True):
    """A data config whose source is the solver; conf/data/generated.yaml says what each key is."""

    source: Literal["generated"]
    seed: Index
    manifests: str
    fields: tuple[str, ...]
    shape: tuple[Count | None, ...]
    names: tuple[str, ...]
    generated: tuple[str, ...]
    imported: tuple[str, ...]
    domain_extent: Positive
    num_points: Points
    simulated_points: Points
    num_frames: FrameCount
    frame_interval: Positive
    datasets: dict[str, Dataset]

    def __post_init__(self) -> None:
        """Refuse what the solver or the study could not use."""
        if self.simulated_points < self.num_points:
            raise InputError(
                f"simulated_points is {self.simulated_points}, "
                f"expected at least data.num_points ({self.num_points})"
            )
        cell = self.domain_extent / self.simulated_points
        for number, (name, dataset) in enumerate(self.datasets.items()):
            expected = set(SPLITS) if number == 0 else {"test"}
            if set(dataset.trajectories) != expected:
                raise InputError(
                    f"datasets.{name}.trajectories has {sorted(dataset.trajectories)}, "
                    f"expected {sorted(expected)}"
                )
            duration = dataset.warm_up + self.frame_interval * (self.num_frames - 1)
            if not duration * dataset.max_speed <= _MOST_CELLS_CROSSED * cell:
                raise InputError(
                    f"datasets.{name}.max_speed is {dataset.max_speed}, expected a flow that "
                    f"crosses at most {_MOST_CELLS_CROSSED:.0e} cells in a trajectory: here "
                    f"{duration:.3g} units of time with cells of {cell:.3g}"
                )


class Selection(Settings, frozen=True):
    """Which trajectories of somebody's files one dataset has: those that fulfil every condition.

    Attributes:
        files: Pattern of paths below data.root, such as `low_*.hdf5`.
        where: Comparisons of scalars joined by `and`, such as `viscosity < 1e-3`.
        trajectories: Their numbers, counted from 0 over all files in the order of their names.
    """

    files: str | None = None
    where: str | None = None
    trajectories: tuple[Index, ...] | None = None


class ImportedData(Settings, frozen=True):
    """A data config whose source is somebody's files; conf/data/ says what each key is."""

    source: Literal["well", "pdebench", "npz"]
    root: str
    seed: Index
    manifests: str
    fields: tuple[str, ...]
    shape: tuple[Count | None, ...]
    boundary: tuple[Literal["periodic", "open"], Literal["periodic", "open"]] | None
    extent: tuple[Positive, Positive] | None
    frame_interval: Positive | None
    fractions: dict[str, Positive]
    names: tuple[str, ...]
    generated: tuple[str, ...]
    imported: tuple[str, ...]
    datasets: Annotated[dict[str, Selection], Meta(min_length=1)]

    def __post_init__(self) -> None:
        """Refuse what no import could use."""
        if not self.fields or len(set(self.fields)) < len(self.fields):
            raise InputError(
                f"fields is {list(self.fields)}, expected at least one name, none twice"
            )
        if set(self.fractions) != set(SPLITS):
            raise InputError(
                f"fractions is {self.fractions}, expected a share for each of {', '.join(SPLITS)}"
            )

    def require_root(self) -> None:
        """Refuse a root that is not there.

        Raises:
            InputError: If nothing lies at data.root.
        """
        if self.root == "???":
            raise InputError("data.root is not set, expected a file or folder: -S data.root=PATH")
        if not Path(self.root).exists():
            raise InputError(f"data.root is {self.root!r}, expected a file or folder that exists")


def read_data(section: Any) -> GeneratedData | ImportedData:
    """Return the section `data` by its source.

    Raises:
        InputError: As `read_settings` does.
    """
    source = section.get("source") if isinstance(section, Mapping) else None
    kind: type = GeneratedData if source == "generated" else ImportedData
    if isinstance(source, str) and source not in ("generated", "well", "pdebench", "npz"):
        raise InputError(f"data.source is {source!r}, expected generated, well, pdebench or npz")
    return read_settings(section, "data", kind)


def read_generated(section: Any) -> GeneratedData:
    """Return the section `data` of generated flow, whose size is known before there is any.

    Raises:
        InputError: If the source is files.
    """
    data = read_data(section)
    if not isinstance(data, GeneratedData):
        raise InputError(f"data.source is {data.source!r}, expected generated")
    return data


def read_imported(section: Any) -> ImportedData:
    """Return the section `data` of files.

    Raises:
        InputError: If the source is the solver.
    """
    data = read_data(section)
    if not isinstance(data, ImportedData):
        raise InputError("data.source is 'generated', expected well, pdebench or npz")
    return data
