"""Section `data` of params.yaml: the source of the study's data, and every dataset.

A data config names its datasets in order: the first is IND and has the splits train, valid and
test; every other is one OOD axis and has test alone. The source is the solver, user data, or both.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from msgspec import Meta

from chimera.interface import settings
from chimera.interface.errors import InputError
from chimera.interface.settings import Count, Finite, Index, Name, NotNegative, Positive, Settings

SPLITS = ("train", "valid", "test")
# Limit on the cells that the fastest fluid crosses in a trajectory; a time step crosses about one.
_MAX_CELLS_CROSSED = 1e7

NumTrajectories = Annotated[int, Meta(ge=1, le=10**6)]
NumFrames = Annotated[int, Meta(ge=2, le=10**6)]
NumPoints = Annotated[int, Meta(ge=1, le=1 << 14)]
Number = TypeVar("Number", int, float)


class Choice(Settings, Generic[Number], frozen=True):
    """A value drawn for each trajectory, each of the list with equal probability."""

    choice: Annotated[tuple[Number, ...], Meta(min_length=1)]


class Distribution(Settings, Generic[Number], frozen=True, omit_defaults=True):
    """A number drawn for each trajectory, from one of three distributions."""

    uniform: tuple[Number, Number] | None = None  # bounds
    log_uniform: tuple[Positive, Positive] | None = None  # bounds; the logarithm is uniform
    choice: Annotated[tuple[Number, ...], Meta(min_length=1)] | None = None  # equally probable

    def __post_init__(self) -> None:
        """Refuse none or several distributions, and bounds in the wrong order."""
        given = [name for name in self.__struct_fields__ if getattr(self, name) is not None]
        if not given:
            raise InputError("uniform is missing, expected uniform, log_uniform or choice")
        if len(given) > 1:
            raise InputError(f"{given[1]} is given beside {given[0]}, expected one of the two")
        for name in ("uniform", "log_uniform"):
            bounds = getattr(self, name)
            if bounds and bounds[0] > bounds[1]:
                raise InputError(f"{name} is {list(bounds)}, expected the smaller bound first")


class Forcing(Settings, frozen=True, omit_defaults=True):
    """Kolmogorov forcing: amplitude sin(wavenumber y) along x, turned by the angle in radians."""

    amplitude: Finite | Distribution[Finite]  # acceleration
    wavenumber: Count | Choice[Count]  # periods across the box
    angle: Finite | Choice[Finite]  # the turned pattern must have whole periods along both axes
    warm_up_only: bool = False  # whether the force ends at the first frame: stored flow decays


class Dataset(Settings, frozen=True):
    """One regime of the flow; without forcing it decays. conf/data/generated.yaml has the keys."""

    trajectories: dict[str, NumTrajectories]
    viscosity: NotNegative | Distribution[NotNegative]
    drag: NotNegative | Distribution[NotNegative]
    forcing: Forcing | None
    initial_peak: Count
    warm_up: NotNegative
    max_speed: Positive


class Selection(Settings, frozen=True):
    """The trajectories of user data that one dataset has: those that fulfil every condition.

    `files` is a pattern of paths below data.root, `where` comparisons of scalars joined by `and`;
    `trajectories` are counted from 0 over all files in the order of their names.
    """

    files: str | None = None
    where: str | None = None
    trajectories: tuple[Index, ...] | None = None


class DataSettings(Settings, frozen=True):
    """What data of every source declare; conf/data/ explains each key."""

    seed: Index
    manifests: str
    fields: tuple[str, ...]
    conditioning: tuple[str, ...]
    past_frames: Count
    shape: tuple[Count | None, ...]
    names: Annotated[tuple[Name, ...], Meta(min_length=1)]
    generated: tuple[Name, ...]
    imported: tuple[Name, ...]


class GeneratedData(DataSettings, frozen=True):
    """Data of the solver."""

    source: Literal["generated"]
    domain_extent: Positive
    num_points: NumPoints
    simulated_points: NumPoints
    warm_up_points: NumPoints
    num_frames: NumFrames
    frame_interval: Positive
    datasets: dict[Name, Dataset]
    root: str = "???"
    files: dict[str, Any] | None = None  # how data.root is read for the imported axes, if any

    def __post_init__(self) -> None:
        """Refuse a grid or splits that the solver or the study cannot use."""
        if twice := sorted({*self.generated} & {*self.imported}):
            raise InputError(f"imported has {twice[0]!r}, expected no name of data.generated")
        if self.files and self.names[0] not in self.generated:
            raise InputError(f"names begins with {self.names[0]!r}, expected IND of data.generated")
        if self.simulated_points < self.num_points:
            least = f"at least data.num_points ({self.num_points})"
            raise InputError(f"simulated_points is {self.simulated_points}, expected {least}")
        if not self.num_points <= self.warm_up_points <= self.simulated_points:
            raise InputError(
                f"warm_up_points is {self.warm_up_points}, expected at least data.num_points "
                f"({self.num_points}) and at most data.simulated_points ({self.simulated_points})"
            )
        if self.past_frames >= self.num_frames:
            less = f"less than num_frames ({self.num_frames})"
            raise InputError(f"past_frames is {self.past_frames}, expected {less}")
        cell = self.domain_extent / self.simulated_points
        for name, dataset in self.datasets.items():
            expected = set(SPLITS) if name == self.names[0] else {"test"}
            if name in self.names and set(dataset.trajectories) != expected:
                stated = f"datasets.{name}.trajectories has {sorted(dataset.trajectories)}"
                raise InputError(f"{stated}, expected {sorted(expected)}")
            duration = dataset.warm_up + self.frame_interval * (self.num_frames - 1)
            if not duration * dataset.max_speed <= _MAX_CELLS_CROSSED * cell:
                raise InputError(
                    f"datasets.{name}.max_speed is {dataset.max_speed}, expected a flow that "
                    f"crosses at most {_MAX_CELLS_CROSSED:.0e} cells in a trajectory: here "
                    f"{duration:.3g} units of time with cells of {cell:.3g}"
                )


class ImportedData(DataSettings, frozen=True):
    """User data."""

    source: Literal["well", "pdebench", "pdearena", "fno", "npz"]
    root: str
    boundary: tuple[Literal["periodic", "open"], Literal["periodic", "open"]] | None
    extent: tuple[Finite, Finite] | None
    frame_interval: Positive | None
    fractions: dict[str, Positive]
    datasets: Annotated[dict[Name, Selection], Meta(min_length=1)]
    first_frame: Index = 0
    outside: bool = False  # whether links below root may lead out of it

    def __post_init__(self) -> None:
        """Refuse an extent or fractions that no import could use."""
        if self.extent and not all(self.extent):
            raise InputError(f"extent is {list(self.extent)}, expected two lengths that are not 0")
        if set(self.fractions) != set(SPLITS):
            raise InputError(
                f"fractions is {self.fractions}, expected one for each of {', '.join(SPLITS)}"
            )

    def require_root(self) -> None:
        """Refuse a root that is not set or does not exist."""
        if self.root == "???":
            raise InputError("data.root is not set, expected a file or folder: -S data.root=PATH")
        if not Path(self.root).exists():
            raise InputError(f"data.root is {self.root!r}, expected a file or folder that exists")


_SOURCES: dict[str, type[GeneratedData] | type[ImportedData]] = {
    "generated": GeneratedData,
    **dict.fromkeys(("well", "pdebench", "pdearena", "fno", "npz"), ImportedData),
}
Kind = TypeVar("Kind", GeneratedData, ImportedData)


def read_data(section: Any) -> GeneratedData | ImportedData:
    """Return the section `data` by its source."""
    source = section.get("source") if isinstance(section, Mapping) else None
    if isinstance(source, str) and source not in _SOURCES:
        raise InputError(f"data.source is {source!r}, expected one of {', '.join(_SOURCES)}")
    data = settings.read_settings(section, "data", _SOURCES.get(str(source), ImportedData))
    fields, inputs = list(data.fields), [*data.fields, *data.conditioning]
    if not fields or len(set(fields)) < len(fields):
        raise InputError(f"data.fields is {fields}, expected at least one name, none twice")
    if len(set(inputs)) < len(inputs):
        others = f"names that are not among data.fields ({', '.join(fields)}), none twice"
        raise InputError(f"data.conditioning is {list(data.conditioning)}, expected {others}")
    return data


def read_data_of(section: Any, kind: type[Kind]) -> Kind:
    """Return the section `data`, or how it reads files, which must have a source of one kind."""
    data = read_data(section)
    if kind is ImportedData and isinstance(data, GeneratedData) and data.files is not None:
        shared = {name: getattr(data, name) for name in (*DataSettings.__struct_fields__, "root")}
        shared["fractions"] = dict.fromkeys(SPLITS, 1.0)  # that no OOD axis has
        if known := sorted(shared.keys() & data.files.keys()):
            raise InputError(f"data.files.{known[0]} is given, expected data.{known[0]} alone")
        return settings.read_settings(shared | data.files, "data.files", kind)
    if not isinstance(data, kind):
        expected = " or ".join(source for source, other in _SOURCES.items() if other is kind)
        raise InputError(f"data.source is {data.source!r}, expected {expected}")
    return data
