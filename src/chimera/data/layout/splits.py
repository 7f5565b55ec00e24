"""The trajectories of one split, in its own folder or in linked files, and inputs of a training.

A split is a folder data/<dataset>/data/<split> with files in The Well's layout, or with links to
trajectories of other files (chimera.data.layout.links).

n trajectories, T time, C fields, K conditioning channels, H, W space.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chimera.data.layout.conditioning import (
    conditioning_moments,
    read_conditioning,
    with_logarithms,
)
from chimera.data.layout.hdf5 import FieldReader, HDF5Recording
from chimera.data.layout.links import NAME, read_links, require_linked
from chimera.data.layout.moments import ChannelMoments
from chimera.data.layout.recordings import Array, shared_scalars
from chimera.data.layout.well import channel_moments, open_well
from chimera.files.artifacts import read_yaml
from chimera.interface.errors import InputError

# Bytes of chunks that HDF5 keeps of each dataset while frames are drawn at random.
_CHUNK_CACHE = 1 << 24
_Files = list[tuple[HDF5Recording, tuple[int, ...]]]  # and the numbers of their trajectories


class Split:
    """Fields of a split's trajectories, read on demand, with their conditioning.

    `folder` is data/<dataset>/data/<split>; chimera.data.layout.conditioning describes the names.
    `wanted` trajectories are taken, all by default: the first of a fixed random order, so that a
    smaller number takes some of those of a larger one, in the order of the files.

    `shape` is (n, T, C + K, H, W), `available` the number of all trajectories, `layout` theirs;
    `scalars` are physical parameters (n,) by name, those that every file declares, and
    `conditioning` K channels, (n, H, W) or (n, 1, 1) each.
    """

    def __init__(
        self,
        folder: Path,
        fields: Sequence[str],
        conditioning: Sequence[str] = (),
        wanted: int | None = None,
    ) -> None:
        if (folder / NAME).exists():
            links = read_links(folder / NAME)
            files = [
                (open_well(require_linked(link)).without_first(link.first_frame), link.trajectories)
                for link in links
            ]
        else:
            recordings = [open_well(path) for path in sorted(folder.glob("*.hdf5"))]
            files = [(recording, tuple(range(recording.count))) for recording in recordings]
        if not files:
            raise InputError(f"{folder} holds no *.hdf5, expected a split: run `make repro`")
        first = files[0][0]
        for recording, numbers in files:
            recording.require_same_layout(first, stored=True)
            for name in fields:
                recording.require_field(name)
            if max(numbers, default=0) >= recording.count:
                found = f"{recording.path} has {recording.count} trajectories"
                raise InputError(f"{found}, expected {max(numbers) + 1} as {folder / NAME} says")
        self.available = sum(len(numbers) for _, numbers in files)
        if wanted is not None:
            files = _subset(files, wanted)
        # (recording, trajectory in it) of each of the n trajectories
        self._places = [(r, number) for r, (_, numbers) in enumerate(files) for number in numbers]
        self._recordings = [recording for recording, _ in files]
        self._readers: dict[tuple[int, int], FieldReader] = {}  # by process and recording
        self._fields = tuple(fields)
        self.layout = first.layout
        frame = (len(fields) + len(conditioning), *first.layout.grid)
        self.shape = (len(self._places), first.layout.num_frames, *frame)
        self.scalars = shared_scalars(self._recordings, self._places)
        self.conditioning = [
            read_conditioning(name, self._recordings, self._places, self.scalars)
            for name in conditioning
        ]

    def __len__(self) -> int:
        """Return n."""
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of all frames as float32."""
        return 4 * int(np.prod(self.shape))

    def read(self, first: int = 0, last: int | None = None) -> Array:
        """Return trajectories first .. last - 1 as (m, T, C + K, H, W), all values finite."""
        stop = len(self) if last is None else min(last, len(self))
        frames = np.empty((stop - first, *self.shape[1:]), dtype=np.float32)
        self.windows(range(first, stop), [0] * (stop - first), frames)
        finite = np.isfinite(frames).all(axis=(2, 3, 4))  # (m, T)
        if not finite.all():
            i, t = np.argwhere(~finite)[0]
            r, number = self._places[first + i]
            raise InputError(
                f"{self._recordings[r].path} has a value of {', '.join(self._fields)} that "
                f"is not finite in trajectory {number}, frame {t}, expected finite numbers"
            )
        return frames

    def fitting(self, size: int) -> int:
        """Return how many trajectories fit into `size` bytes, at least one."""
        return max(size // (self.nbytes // len(self)), 1)

    def groups(self, size: int) -> Iterator[Array]:
        """Read all trajectories in order, as many at once as fit into `size` bytes."""
        count = self.fitting(size)
        for first in range(0, len(self), count):
            yield self.read(first, first + count)

    def windows(self, trajectories: Sequence[int], starts: Sequence[int], out: Array) -> None:
        """Read windows of consecutive frames into `out` (B, length, C + K, H, W), C-contiguous."""
        C = len(self._fields)
        # In their order in the files, so that no chunk is decompressed twice for one batch.
        places = [
            (*self._places[i], t, row)
            for row, (i, t) in enumerate(zip(trajectories, starts, strict=True))
        ]
        for r, number, start, row in sorted(places):
            self._reader(r).read(number, start, out[row, :, :C])
        for k, values in enumerate(self.conditioning, start=C):
            out[:, :, k] = values[list(trajectories), None]

    def _reader(self, r: int) -> FieldReader:
        key = (os.getpid(), r)  # a fork needs handles of its own
        if key not in self._readers:
            self._readers[key] = FieldReader(self._recordings[r], self._fields, _CHUNK_CACHE)
        return self._readers[key]


def _subset(files: _Files, wanted: int) -> _Files:
    """Return the files with the trajectories that are taken, those without any left out."""
    places = [(r, number) for r, (_, numbers) in enumerate(files) for number in numbers]
    if wanted > len(places):
        raise InputError(f"train.trajectories is {wanted}, expected at most {len(places)}")
    order = np.random.default_rng(0).permutation(len(places))
    taken = [places[i] for i in sorted(order[:wanted].tolist())]
    groups = groupby(taken, key=itemgetter(0))
    return [(files[r][0], tuple(number for _, number in group)) for r, group in groups]


class Inputs(NamedTuple):
    """Splits of C fields and K conditioning channels."""

    train: Split
    valid: Split
    conditioning: tuple[str, ...]  # names of the K channels
    moments: dict[str, list[float]]  # `mean` and `std` of all channels of the train split (C + K,)


def open_inputs(
    folder: Path,
    fields: Sequence[str],
    conditioning: Sequence[str],
    trajectories: int | None = None,
) -> Inputs:
    """Open the splits of data/<dataset>, with the channels that params.yaml names.

    Of the training split, `trajectories` are taken; the moments and the logarithms are of those.
    """
    known = Split(folder / "data/train", fields, wanted=trajectories)
    names = with_logarithms(conditioning, known.scalars)
    train = Split(folder / "data/train", fields, names, trajectories)
    valid = Split(folder / "data/valid", fields, names)
    stats = _statistics(known, fields) if len(train) < train.available else None
    moments = channel_moments(stats or read_yaml(folder / "stats.yaml"), fields)
    further = conditioning_moments(train.conditioning)
    return Inputs(train, valid, names, {m: moments[m] + further[m] for m in moments})


def _statistics(split: Split, fields: Sequence[str]) -> dict[str, Any]:
    """Return what stats.yaml would say of a split, read frame by frame whatever its size."""
    moments, frame = ChannelMoments(), np.empty((1, 1, *split.shape[2:]), dtype=np.float32)
    for i, t in np.ndindex(split.shape[:2]):
        split.windows([i], [t], frame)
        moments.add(frame[0], t)
    return moments.table(fields)
