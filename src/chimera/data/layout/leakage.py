"""No input with its target in two splits: a network must not be trained on what it is tested on.

Every frame is identified by the blake2b digest (128 bits) of its bytes. An input and its target are
two consecutive frames; pairs that are equal bit for bit are found by sorting. A frame that returns
alone, such as a common initial condition, leaks no target, nor does a field that does not change.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chimera.files.arrays import read_arrays, write_arrays
from chimera.interface.errors import InputError


@dataclass(frozen=True)
class Frames:
    """The frames of one split."""

    digests: NDArray[np.uint64]  # two 64-bit halves of every frame's digest (n, T, 2)
    places: Sequence[str]  # for messages, where each trajectory is stored (n)


def digest_frames(frames: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return the digests (T, 2) of frames (T, ...), C-contiguous."""
    rows = [hashlib.blake2b(frame, digest_size=16).digest() for frame in frames]
    return np.frombuffer(b"".join(rows), dtype="<u8").reshape(-1, 2)


def write_frames(path: Path, splits: Mapping[str, Frames]) -> None:
    """Write the frames of every split of a dataset."""
    digests = {split: frames.digests for split, frames in splits.items()}
    places = {f"{split}.places": np.array(frames.places) for split, frames in splits.items()}
    write_arrays(path, digests | places)


def read_frames(path: Path) -> dict[str, Frames]:
    """Return what `write_frames` wrote."""
    arrays = read_arrays(path)
    return {
        split: Frames(digests, arrays[f"{split}.places"].tolist())
        for split, digests in arrays.items()
        if not split.endswith(".places")
    }


def require_disjoint(splits: Mapping[str, Frames]) -> None:
    """Refuse splits, by name such as data/cfd2d_ind_v2/data/train, that share an input's target."""
    names = list(splits)
    parts = [
        np.concatenate([part.digests[:, :-1], part.digests[:, 1:]], axis=2).reshape(-1, 4)
        for part in splits.values()
    ]
    pairs = np.concatenate(parts)
    split = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    row = np.concatenate([np.arange(len(part)) for part in parts])
    order = np.lexsort((split, *pairs.T))
    ordered = pairs[order]
    same = (ordered[1:] == ordered[:-1]).all(axis=1) & (split[order][1:] != split[order][:-1])
    same &= (ordered[1:, :2] != ordered[1:, 2:]).any(axis=1)
    shared = np.flatnonzero(same)
    if not shared.size:
        return
    # The first in the order of the splits, so that the sentence is independent of the digests.
    pair = min(sorted(order[i : i + 2]) for i in shared)

    def place(position: int) -> str:
        name = names[split[position]]
        frames = splits[name]
        trajectory, frame = divmod(int(row[position]), frames.digests.shape[1] - 1)
        return f"frame {frame} of {frames.places[trajectory]} (in {name})"

    more = f"; {len(shared) - 1} more pairs are shared" if len(shared) > 1 else ""
    raise InputError(
        f"{place(pair[0])} is bit for bit {place(pair[1])}, and so is the frame after it, expected "
        f"no input with its target in two splits{more}"
    )


def repeated_frames(frames: Frames) -> str:
    """Return how many frames of a split repeat another one of it, and the first; empty if none."""
    T = frames.digests.shape[1]
    digests = frames.digests.reshape(-1, 2)
    _, first, which = np.unique(digests, axis=0, return_index=True, return_inverse=True)
    original = first[which.reshape(-1)]
    again = np.flatnonzero(original != np.arange(len(original)))
    if not again.size:
        return ""
    here, there = (
        f"frame {position % T} of {frames.places[position // T]}"
        for position in (int(again[0]), int(original[again[0]]))
    )
    return (
        f"{again.size} of {len(original)} frames repeat another one bit for bit: "
        f"the first is {here}, as {there}"
    )
