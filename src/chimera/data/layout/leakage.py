"""No frame in two splits: a network must not be trained on what it is tested on.

Every frame is identified by the blake2b digest (128 bits) of its bytes; frames that are equal bit
for bit are found by sorting.
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
    """Refuse splits, by name such as data/cfd2d_ind_v1/data/train, that share a frame."""
    names = list(splits)
    parts = [splits[name].digests for name in names]
    if len(parts) < 2:
        return
    digests = np.concatenate([part.reshape(-1, 2) for part in parts])
    sizes = [part.shape[0] * part.shape[1] for part in parts]
    split = np.repeat(np.arange(len(names)), sizes)
    row = np.concatenate([np.arange(size) for size in sizes])
    order = np.lexsort((split, digests[:, 1], digests[:, 0]))
    ordered = digests[order]
    same = (ordered[1:] == ordered[:-1]).all(axis=1) & (split[order][1:] != split[order][:-1])
    if not same.any():
        return
    shared = np.flatnonzero(same)
    # The pair that is first in the order of the splits, so that the sentence is independent of
    # the digests.
    pair = min((sorted((order[i], order[i + 1])) for i in shared), key=tuple)

    def place(position: int) -> str:
        name = names[split[position]]
        frames = splits[name]
        trajectory, frame = divmod(int(row[position]), frames.digests.shape[1])
        return f"frame {frame} of {frames.places[trajectory]} (in {name})"

    more = f"; {len(shared) - 1} more frames are shared" if len(shared) > 1 else ""
    raise InputError(
        f"{place(pair[0])} is bit for bit {place(pair[1])}, expected no frame in two splits{more}"
    )
