"""The interface of every source: recordings, each one file of trajectories on one grid.

A recording describes a file without reading its fields, and reads them in blocks of frames, so that
memory is bounded whatever the size of the file. Axes: n trajectories, T time, C channel, H, W space
(x before y).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from chimera.interface.errors import InputError, listed

Array = NDArray[np.float32]

# Bytes of the frames that are read at once.
BLOCK = 1 << 24


@dataclass(frozen=True)
class Layout:
    """Grid, length and domain of every trajectory of a dataset; None is unknown."""

    source: str  # generated, or a source of data.settings
    grid: tuple[int, ...]  # H, W
    num_frames: int  # T
    boundary: tuple[str, ...] = ("periodic", "periodic")  # or `open`, along x and y
    # Length of the domain along x and y, negative where the coordinate descends.
    extent: tuple[float, ...] | None = None
    frame_interval: float | None = None  # time between two frames


# What the trajectories of one dataset share: attributes of Layout, and their names in a sentence.
_SHARED = {
    "grid": "a grid of",
    "num_frames": "trajectories of so many frames:",
    "boundary": "the boundaries",
    "extent": "the extent",
    "frame_interval": "a frame interval of",
}


@dataclass(frozen=True)
class Recording(ABC):
    """One file of n trajectories."""

    path: Path
    count: int  # n
    layout: Layout
    fields: tuple[str, ...]  # names of those that can be read, each one channel
    scalars: Mapping[str, NDArray[np.float64]]  # physical parameters by name, (n,) each
    _: KW_ONLY
    split: str | None = None  # train, valid or test, if the source declares splits
    first_frame: int = 0  # frames of every trajectory that are skipped
    uneven: tuple[str, ...] = ()  # names of coordinates in space that are not equidistant
    aside: Mapping[str, str] = field(default_factory=dict)  # why a name cannot be read
    # Readers of the fields that are constant in time, (m, H, W) of m trajectories.
    constants: Mapping[str, Callable[[Sequence[int]], Array]] = field(default_factory=dict)

    @abstractmethod
    def blocks(
        self, trajectories: Sequence[int], fields: Sequence[str]
    ) -> Iterator[tuple[int, int, Array]]:
        """Read trajectories, in ascending order, in blocks of about BLOCK bytes in float32.

        Yields their trajectory, first frame and fields (t, C, H, W), as precise as the file's.
        """

    def without_first(self, count: int) -> Self:
        """Return a recording without the first frames of its trajectories."""
        T = self.layout.num_frames
        if T - count < 2:
            raise InputError(
                f"{self.path} has trajectories of {T} frames, of which data.first_frame skips "
                f"{count}, expected at least 2 to be left: one to forecast from and one to forecast"
            )
        return replace(self, layout=replace(self.layout, num_frames=T - count), first_frame=count)

    def require_field(self, name: str) -> None:
        """Refuse a recording without a field."""
        if name in self.aside:
            raise InputError(self.aside[name])
        if name not in self.fields:
            lacking = f"{self.path} has no dataset of the field {name!r} that data.fields names"
            raise InputError(f"{lacking}, expected one of {listed(self.fields)}")

    def require_same_layout(self, first: "Recording", *, stored: bool = False) -> None:
        """Refuse trajectories of another grid, length, boundary, extent or interval than the first.

        Of files that are `stored` already, only grid and length must agree: the rest was stated.
        """
        for name in list(_SHARED)[: 2 if stored else None]:
            sides = [_parts(getattr(r.layout, name)) for r in (self, first)]
            if not all(map(_agree, *sides)):
                joint = " and " if name == "boundary" else " x "
                found, expected = (joint.join(map(_shown, side)) for side in sides)
                cut = self.aside.get("frames") or first.aside.get("frames")
                raise InputError(
                    f"{self.path} has {_SHARED[name]} {found}, expected {expected} as in "
                    f"{first.path}" + (f"; {cut}" if cut and name == "num_frames" else "")
                )


def read_blocks(
    layout: Layout,
    trajectories: Iterable[int],
    channels: int,
    read: Callable[[int, int, Array], object],
    dtype: DTypeLike = np.float32,
    chunk: int = 1,
    skipped: int = 0,
) -> Iterator[tuple[int, int, Array]]:
    """Yield blocks as Recording.blocks, of whole chunks of frames.

    `read` fills a block (t, C, H, W), given its trajectory and first frame. Blocks are cut from the
    first of the `skipped` frames on, which are not counted.
    """
    T, frame = layout.num_frames, 4 * channels * math.prod(layout.grid)
    size = min(max(BLOCK // (frame * chunk), 1) * chunk, T)
    for trajectory in trajectories:
        for start in range(0, skipped + T, size):
            first, last = max(start, skipped), min(start + size, skipped + T)
            if first < last:
                block = np.empty((last - first, channels, *layout.grid), dtype)
                read(trajectory, first, block)
                yield trajectory, first - skipped, block


def require_shape(path: Path | str, name: str, shape: Sequence[int], axes: Sequence[str]) -> None:
    """Refuse a dataset of another number of axes, or with nothing along one of them."""
    stated = f"{path}: {name} has shape {tuple(shape)}"
    if len(shape) != len(axes):
        raise InputError(f"{stated}, expected {len(axes)} axes ({', '.join(axes)})")
    if shape[0] == 0:
        raise InputError(f"{stated}: no trajectories, expected some")
    if 0 in shape:
        raise InputError(f"{stated}, expected no empty axis")


def _parts(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value or "unknown",)


def _agree(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-3)  # coordinates in single precision
    return bool(one == other)


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def shared_scalars(
    recordings: Sequence[Recording], members: Sequence[tuple[int, int]]
) -> dict[str, NDArray[np.float64]]:
    """Return the scalars (n,) that all files of n members (recording, trajectory) declare."""
    used = [recordings[r].scalars for r in dict.fromkeys(r for r, _ in members)]
    return {
        name: np.array([recordings[r].scalars[name][i] for r, i in members])
        for name in used[0]
        if all(name in scalars for scalars in used)
    }


def files_below(root: Path, suffixes: Sequence[str], outside: bool = False) -> list[Path]:
    """Return the root or the files below it, sorted; links that lead out of it need `outside`."""
    if root.is_file():
        return [root]
    found = [p for p in root.rglob("*") if p.is_file() and p.suffix in suffixes]
    visible = [p for p in found if not any(part.startswith(".") for part in p.parts[-3:])]
    if not visible:
        wanted = " or ".join(f"*{suffix}" for suffix in suffixes)
        raise InputError(f"data.root {root} holds no {wanted}, expected at least one")
    for path in visible:
        if not outside and not path.resolve().is_relative_to(root.resolve()):
            allowed = f"files below {root}: set data.outside to true to allow it"
            raise InputError(f"{path} is a link to {path.resolve()}, expected {allowed}")
    return sorted(visible)
