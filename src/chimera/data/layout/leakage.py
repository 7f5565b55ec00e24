"""No frame in two splits: what a network is tested on, it must not have been trained on.

Every frame is known by the blake2b of its bytes, 128 bits; bit-identical frames are found by
sorting, whatever their number.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chimera.interface.errors import InputError


@dataclass(frozen=True)
class Frames:
    """The frames of one split: digests (n, T, 2) of 64 bits each, and a name by trajectory (n)."""

    digests: NDArray[np.uint64]
    places: Sequence[str]


def digest_frames(frames: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return the digests (T, 2) of frames (T, ...), C-contiguous."""
    rows = [hashlib.blake2b(frame, digest_size=16).digest() for frame in frames]
    return np.frombuffer(b"".join(rows), dtype="<u8").reshape(-1, 2)


def require_disjoint(splits: Mapping[str, Frames]) -> None:
    """Refuse splits that share a frame.

    Args:
        splits: By name, such as data/cfd2d_ind_v1/data/train.

    Raises:
        InputError: Naming both places of the first such frame, and how many more there are.
    """
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
    # The earliest in the earlier split comes first, so that the sentence does not depend on hashes.
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
