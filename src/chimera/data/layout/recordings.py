"""The interface of every source: recordings, each one file of trajectories on one grid.

A recording describes a file without reading its fields, and reads them in blocks of frames, so that
memory is bounded whatever the size of the file.

n trajectories, T time, C channel, H, W space (x before y).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True)
class Recording(ABC):
    """One file of n trajectories.

    Attributes:
        first_frame: Frames of every trajectory that are skipped.
        uneven: Names of coordinates in space that are not equidistant.
        aside: Why a field or scalar cannot be read, by name.
        constants: Dataset of each field that is constant in time, (n, H, W), or (H, W) for all.
    """

    path: Path
    count: int  # n
    layout: Layout
    fields: tuple[str, ...]  # names of those that can be read, each one channel
    scalars: Mapping[str, NDArray[np.float64]]  # physical parameters by name, (n,) each
    split: str | None  # train, valid or test, if the source declares splits
    first_frame: int = field(default=0, kw_only=True)
    uneven: tuple[str, ...] = field(default=(), kw_only=True)
    aside: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    constants: Mapping[str, str] = field(default_factory=dict, kw_only=True)

    @abstractmethod
    def where(self, field: str) -> str:
        """Return the name of the dataset or array that holds a field."""

    @abstractmethod
    def blocks(
        self, trajectories: Sequence[int], fields: Sequence[str]
    ) -> Iterator[tuple[int, int, Array]]:
        """Read trajectories, in ascending order, in blocks of about BLOCK bytes.

        Yields:
            The trajectory, the first frame and the fields (t, C, H, W).
        """

    def constant(self, name: str, trajectories: Sequence[int]) -> Array:
        """Return a field of `constants`, (n, H, W) of these trajectories."""
        raise NotImplementedError(f"{name} of {trajectories}")


_File = TypeVar("_File", bound=Recording)


def block_frames(layout: Layout, channels: int, chunk: int = 1) -> int:
    """Return the frames of a block: about BLOCK bytes, whole chunks, no more than a trajectory."""
    frame = 4 * channels * math.prod(layout.grid)
    return min(max(BLOCK // (frame * chunk), 1) * chunk, layout.num_frames)


def require_shape(path: Path, name: str, shape: Sequence[int], axes: Sequence[str]) -> None:
    """Refuse a dataset of another number of axes, or with nothing along one of them."""
    stated = f"{path}: {name} has shape {tuple(shape)}"
    if len(shape) != len(axes):
        raise InputError(f"{stated}, expected {len(axes)} axes ({', '.join(axes)})")
    if shape[0] == 0:
        raise InputError(f"{stated}: no trajectories, expected some")
    if 0 in shape:
        raise InputError(f"{stated}, expected no empty axis")


def skip_frames(recording: _File, count: int) -> _File:
    """Return a recording without the first frames of its trajectories."""
    left = recording.layout.num_frames - count
    if left < 2:
        raise InputError(
            f"{recording.path} has trajectories of {recording.layout.num_frames} frames, of which "
            f"data.first_frame skips {count}, expected at least 2 to be left: one to forecast from "
            "and one to forecast"
        )
    layout = replace(recording.layout, num_frames=left)
    return replace(recording, layout=layout, first_frame=count)


def require_field(recording: Recording, field: str) -> None:
    """Refuse a recording without the field."""
    if field in recording.aside:
        raise InputError(recording.aside[field])
    if field not in recording.fields:
        raise InputError(
            f"{recording.path} has no dataset of the field {field!r} that data.fields names, "
            f"expected one of {listed(recording.fields)}"
        )


def require_same_layout(recording: Recording, first: Recording, *, stored: bool = False) -> None:
    """Refuse trajectories of another grid, length, boundary, extent or interval than the first's.

    Of files that are `stored` already, only grid and length must agree: the rest was stated.
    """
    one, other = recording.layout, first.layout
    compared: dict[str, Any]
    frames = "trajectories of so many frames:"
    compared = {"a grid of": (one.grid, other.grid), frames: ([one.num_frames], [other.num_frames])}
    if not stored:
        compared |= {
            "the boundaries": tuple([" and ".join(r.boundary)] for r in (one, other)),
            "the extent": tuple(r.extent or ["unknown"] for r in (one, other)),
            "a frame interval of": tuple([r.frame_interval or "unknown"] for r in (one, other)),
        }
    for what, sides in compared.items():
        if not all(map(_agree, *sides)):
            found, expected = (" x ".join(map(_shown, side)) for side in sides)
            cut = recording.aside.get("frames") or first.aside.get("frames")
            raise InputError(
                f"{recording.path} has {what} {found}, expected {expected} as in {first.path}"
                + (f"; {cut}" if cut and what == frames else "")
            )


def _agree(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-3)  # coordinates in single precision
    return bool(one == other)


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def shared_scalars(
    recordings: Sequence[Recording], members: Sequence[tuple[int, int]]
) -> dict[str, NDArray[np.float64]]:
    """Return the scalars (n,) that all files of the members declare.

    Each of the n members is the number of a recording, and that of a trajectory within it.
    """
    used = [recordings[r].scalars for r in dict.fromkeys(r for r, _ in members)]
    return {
        name: np.array([recordings[r].scalars[name][i] for r, i in members])
        for name in used[0]
        if all(name in scalars for scalars in used)
    }


def files_below(root: Path, suffixes: Sequence[str], outside: bool = False) -> list[Path]:
    """Return the root itself or the files below it, in the order of their names.

    Links to files that are not below the root are refused unless `outside` is true.
    """
    if root.is_file():
        return [root]
    found = [p for p in root.rglob("*") if p.is_file() and p.suffix in suffixes]
    visible = [p for p in found if not any(part.startswith(".") for part in p.parts[-3:])]
    if not visible:
        wanted = " or ".join(f"*{suffix}" for suffix in suffixes)
        raise InputError(f"data.root {root} holds no {wanted}, expected at least one")
    for path in visible:
        if not outside and not path.resolve().is_relative_to(root.resolve()):
            raise InputError(
                f"{path} is a link to {path.resolve()}, expected files below {root}: set "
                "data.outside to true to allow it"
            )
    return sorted(visible)
