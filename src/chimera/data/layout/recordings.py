"""What every source gives: recordings, each one file of trajectories on one grid.

A source of any layout becomes a list of `Recording`s, which say what is in a file without reading
its fields, and read them in blocks of frames, one after another, so that memory is bounded whatever
the size of the file.

n trajectories, T time, H, W space (x before y).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chimera.data.layout.leakage import Frames
from chimera.interface.errors import InputError

Array = NDArray[np.float32]

# Bytes of the frames that are read at once.
BLOCK = 1 << 24


@dataclass(frozen=True)
class Layout:
    """How the trajectories of a dataset lie in space and time.

    Attributes:
        source: generated, well, pdebench or npz.
        grid: H, W.
        num_frames: T.
        boundary: `periodic` or `open` along x and y.
        extent: Length of the domain along x and y; nothing where no file says it.
        frame_interval: Time between two frames; nothing where no file says it.
    """

    source: str
    grid: tuple[int, ...]
    num_frames: int
    boundary: tuple[str, ...]
    extent: tuple[float, ...] | None
    frame_interval: float | None

    def plain(self) -> dict[str, Any]:
        """Return the layout as what YAML can hold."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


@dataclass(frozen=True)
class Made:
    """What a dataset's folder was given, and what the stages after it need to know.

    Attributes:
        layout: Of every trajectory.
        stats: What goes into stats.yaml; nothing for an OOD axis.
        files: Every file that checksums.yaml records, relative to the folder, with its fingerprint.
        frames: Of every split.
    """

    layout: Layout
    stats: dict[str, Any] | None
    files: list[tuple[str, dict[str, Any] | None]]
    frames: dict[str, Frames]


@dataclass(frozen=True)
class Recording(ABC):
    """One file of trajectories.

    Attributes:
        path: The file.
        count: n.
        layout: Of every trajectory.
        fields: Names of the fields that can be read, each one channel.
        scalars: Physics by name, a value for each trajectory (n,).
        split: train, valid or test where the source has splits of its own.
    """

    path: Path
    count: int
    layout: Layout
    fields: tuple[str, ...]
    scalars: Mapping[str, NDArray[np.float64]]
    split: str | None

    @abstractmethod
    def where(self, field: str) -> str:
        """Return the name of the dataset or array that holds a field."""

    @abstractmethod
    def blocks(
        self, trajectories: Sequence[int], fields: Sequence[str]
    ) -> Iterator[tuple[int, int, Array]]:
        """Read trajectories, in ascending order, in blocks of about BLOCK bytes.

        Yields:
            The trajectory, the first frame and the fields (t, C, H, W) as they are in the file.

        Raises:
            InputError: If the file is cut off or broken.
        """

    def with_known(
        self,
        boundary: Sequence[str] | None,
        extent: Sequence[float] | None,
        frame_interval: float | None,
    ) -> "Recording":
        """Return the recording with what the user says in place of what the file does."""
        known: dict[str, Any] = {
            "boundary": boundary,
            "extent": extent,
            "frame_interval": frame_interval,
        }
        said = {name: value for name, value in known.items() if value is not None}
        return replace(self, layout=replace(self.layout, **said))


def block_frames(layout: Layout, channels: int, chunk: int = 1) -> int:
    """Return the frames of a block: about BLOCK bytes, a whole number of chunks, at least one."""
    frame = 4 * channels * math.prod(layout.grid)
    return max(BLOCK // (frame * chunk), 1) * chunk


def require_rank(path: Path, name: str, shape: Sequence[int], axes: Sequence[str]) -> None:
    """Refuse a dataset of another number of axes, or with nothing along one of them.

    Raises:
        InputError: Naming the file, the dataset and its shape.
    """
    if len(shape) != len(axes):
        raise InputError(
            f"{path}: {name} has shape {tuple(shape)}, expected {len(axes)} axes "
            f"({', '.join(axes)})"
        )
    if shape[0] == 0:
        raise InputError(f"{path}: {name} has shape {tuple(shape)}: no trajectories, expected some")
    if 0 in shape:
        raise InputError(f"{path}: {name} has shape {tuple(shape)}, expected no empty axis")


def require_field(recording: Recording, field: str) -> None:
    """Refuse a field that a file does not hold.

    Raises:
        InputError: With the fields that it does.
    """
    if field not in recording.fields:
        raise InputError(
            f"{recording.path} has no dataset of the field {field!r} that data.fields names, "
            f"expected one of {', '.join(recording.fields)}"
        )


def files_below(root: Path, suffixes: Sequence[str]) -> list[Path]:
    """Return the root itself or the files below it, in the order of their names.

    Raises:
        InputError: If there is no such file.
    """
    if root.is_file():
        return [root]
    found = [p for p in root.rglob("*") if p.is_file() and p.suffix in suffixes]
    visible = [p for p in found if not any(part.startswith(".") for part in p.parts[-3:])]
    if not visible:
        wanted = " or ".join(f"*{suffix}" for suffix in suffixes)
        raise InputError(f"data.root {root} holds no {wanted}, expected at least one")
    return sorted(visible)
