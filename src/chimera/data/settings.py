"""params.yaml's section `data`: what every dataset is made of.

A data config names its datasets in order: the first is IND and has the splits train, valid and
test; every other is one OOD axis and has test alone. `source` says where they come from: the
solver, or files that somebody has.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from chimera.interface.errors import InputError
from chimera.interface.settings import read_settings

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
    root: str
    seed: int
    manifests: str
    fields: tuple[str, ...]
    shape: tuple[int | None, ...]
    names: tuple[str, ...]
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


@dataclass(frozen=True)
class Selection:
    """Which trajectories of somebody's files one dataset has: those that fulfil every condition.

    Attributes:
        files: Pattern of paths below data.root, such as `low_*.hdf5`.
        where: Comparisons of scalars joined by `and`, such as `viscosity < 1e-3`.
        trajectories: Their numbers, counted from 0 over all files in the order of their names.
    """

    files: str | None = None
    where: str | None = None
    trajectories: tuple[int, ...] | None = None


@dataclass(frozen=True)
class ImportedData:
    """A data config whose source is somebody's files; conf/data/ says what each key is."""

    source: Literal["well", "pdebench", "npz"]
    root: str
    seed: int
    manifests: str
    fields: tuple[str, ...]
    shape: tuple[int | None, ...]
    boundary: tuple[Literal["periodic", "open"], ...] | None
    extent: tuple[float, ...] | None
    frame_interval: float | None
    fractions: dict[str, float]
    names: tuple[str, ...]
    datasets: dict[str, Selection]

    def __post_init__(self) -> None:
        """Refuse what no import could use."""
        if not self.fields or len(set(self.fields)) < len(self.fields):
            raise InputError(
                f"data.fields is {list(self.fields)}, expected at least one name, none twice"
            )
        if set(self.fractions) != set(SPLITS) or not all(f > 0 for f in self.fractions.values()):
            raise InputError(
                f"data.fractions is {self.fractions}, expected a share above 0 for each of "
                f"{', '.join(SPLITS)}"
            )
        for name in ("boundary", "extent"):
            value = getattr(self, name)
            if value is not None and len(value) != 2:
                raise InputError(f"data.{name} is {list(value)}, expected two entries, x and y")
        for name, value in (("extent", self.extent), ("frame_interval", self.frame_interval)):
            numbers = value if isinstance(value, tuple) else (value,)
            if not all(number is None or number > 0 for number in numbers):
                raise InputError(f"data.{name} is {value}, expected more than 0")
        if not self.datasets:
            raise InputError("data.datasets is empty, expected IND and then the OOD axes")

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
        InputError: If the source is somebody's files.
    """
    data = read_data(section)
    if not isinstance(data, GeneratedData):
        raise InputError(
            f"data.source is {data.source!r}, expected generated: what somebody's files hold is "
            "known when they have been imported"
        )
    return data


def request(section: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """Return what of the section `data` decides the content of one dataset.

    A generated dataset depends on none of the others. An imported IND is what no OOD axis took, so
    that each depends on all.
    """
    if section["source"] != "generated":
        return {"dataset": dataset} | dict(section)
    others = ("manifests", "fields", "shape", "names", "datasets")
    shared = {name: value for name, value in section.items() if name not in others}
    return {"dataset": dataset} | shared | section["datasets"][dataset]
