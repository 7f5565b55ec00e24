"""The trajectories of one split, wherever their files lie.

A split is a folder data/<dataset>/data/<split>: files in The Well's layout, or links to
trajectories of files elsewhere (chimera.data.layout.links). Files are opened once and stay open, in
each process that reads. Frames of contiguous float32 datasets are read straight from their place in
the file, all others through HDF5, in the order in which they lie there.

n trajectories, T time, C channel, H, W space.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from chimera.data.layout.hdf5 import component_of, hdf5_dataset, open_hdf5, read_hdf5
from chimera.data.layout.links import NAME, read_links, require_linked
from chimera.data.layout.recordings import Array, Layout, require_field
from chimera.data.layout.well import WellRecording, open_well
from chimera.interface.errors import InputError

# Bytes of chunks that HDF5 may keep of each dataset while frames are drawn at random.
_CHUNK_CACHE = 1 << 24


class Split:
    """Fields of a split's trajectories, read on demand.

    Args:
        folder: data/<dataset>/data/<split>.
        fields: Names of the C channels.

    Attributes:
        shape: (n, T, C, H, W).
        layout: Of every trajectory.
        scalars: Physics by name, (n,), of what every file says.

    Raises:
        InputError: If the folder is empty, or a file is missing, cut off, without a field, or does
            not fit the others.
    """

    def __init__(self, folder: Path, fields: Sequence[str]) -> None:
        if (folder / NAME).exists():
            links = read_links(folder / NAME)
            files = [(open_well(require_linked(link)), link.trajectories) for link in links]
        else:
            recordings = [open_well(path) for path in sorted(folder.glob("*.hdf5"))]
            files = [(recording, tuple(range(recording.count))) for recording in recordings]
        if not files:
            raise InputError(
                f"{folder} holds no *.hdf5, expected the files of a split: run `make repro`"
            )
        first = files[0][0]
        for recording, numbers in files:
            require_same_form(recording.layout, recording.path, first.layout, first.path)
            for name in fields:
                require_field(recording, name)
            if max(numbers, default=0) >= recording.count:
                raise InputError(
                    f"{recording.path} has {recording.count} trajectories, expected "
                    f"{max(numbers) + 1} as {folder / NAME} says"
                )
        self.layout = first.layout
        self.shape = (
            sum(len(numbers) for _, numbers in files),
            first.layout.num_frames,
            len(fields),
            *first.layout.grid,
        )
        names = set(first.scalars).intersection(*(r.scalars for r, _ in files))
        self.scalars = {
            name: np.concatenate([recording.scalars[name][list(n)] for recording, n in files])
            for name in first.scalars
            if name in names
        }
        self._fields = tuple(fields)
        self._files = [_Open(recording, self._fields) for recording, _ in files]
        # (file, trajectory in it) of each of the n trajectories
        self._where = [(f, number) for f, (_, numbers) in enumerate(files) for number in numbers]

    def __len__(self) -> int:
        """Return n."""
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of all frames as float32."""
        return 4 * int(np.prod(self.shape))

    def read(self, first: int = 0, last: int | None = None) -> Array:
        """Return trajectories first .. last - 1 as (m, T, C, H, W).

        Raises:
            InputError: If a file is broken, or a value is not finite.
        """
        stop = len(self) if last is None else min(last, len(self))
        frames = np.empty((stop - first, *self.shape[1:]), dtype=np.float32)
        self.windows(range(first, stop), [0] * (stop - first), frames)
        finite = np.isfinite(frames).all(axis=(2, 3, 4))  # (m, T)
        if not finite.all():
            i, t = np.argwhere(~finite)[0]
            file, number = self._where[first + i]
            raise InputError(
                f"{self._files[file].recording.path} has a value of {', '.join(self._fields)} that "
                f"is not finite in trajectory {number}, frame {t}, expected finite numbers"
            )
        return frames

    def fitting(self, size: int) -> int:
        """Return how many trajectories fit into so many bytes, at least one."""
        return max(size // (self.nbytes // len(self)), 1)

    def groups(self, size: int) -> Iterator[Array]:
        """Read all trajectories in order, as many at once as fit into so many bytes."""
        count = self.fitting(size)
        for first in range(0, len(self), count):
            yield self.read(first, first + count)

    def windows(self, trajectories: Sequence[int], starts: Sequence[int], out: Array) -> None:
        """Read windows of consecutive frames into `out` (B, length, C, H, W), C-contiguous.

        They are read in the order in which they lie in the files, so that no chunk of a compressed
        file is unpacked twice for one batch.

        Raises:
            InputError: If a file is broken.
        """
        places = [
            (*self._where[i], t, row)
            for row, (i, t) in enumerate(zip(trajectories, starts, strict=True))
        ]
        for file, number, start, row in sorted(places):
            self._files[file].window(number, start, out[row])


@dataclass
class _Open:
    """A file whose handle stays open in the process that first read from it."""

    recording: WellRecording
    fields: tuple[str, ...]
    process: int = -1
    handle: h5py.File | None = None
    descriptor: int = -1
    sets: list[h5py.Dataset] = field(default_factory=list)
    offsets: list[int | None] = field(default_factory=list)

    def _open(self) -> None:
        path = self.recording.path
        self.handle = open_hdf5(path, _CHUNK_CACHE)
        self.descriptor = os.open(path, os.O_RDONLY)
        places = [self.recording.places[name] for name in self.fields]
        self.sets = [hdf5_dataset(self.handle, path, name) for name, _ in places]
        self.offsets = [
            None if component or dataset.dtype != np.dtype("<f4") else _offset(dataset)
            for dataset, (_, component) in zip(self.sets, places, strict=True)
        ]
        self.process = os.getpid()

    def window(self, trajectory: int, start: int, out: NDArray[np.float32]) -> None:
        """Read frames start, start + 1, ... of a trajectory into out (length, C, H, W)."""
        if self.process != os.getpid():  # handles do not survive a fork
            self._open()
        length, C, H, W = out.shape
        T = self.recording.layout.num_frames
        for channel, (dataset, offset) in enumerate(zip(self.sets, self.offsets, strict=True)):
            if offset is None:
                component = self.recording.places[self.fields[channel]][1]
                part = (trajectory, slice(start, start + length))
                read = read_hdf5(dataset, self.recording.path, part)
                out[:, channel] = component_of(read, component)
                continue
            # One channel fills `out` without a gap; several are put in their places afterwards.
            values: NDArray[np.float32] = (
                out if C == 1 else np.empty((length, H, W), dtype=np.float32)
            )
            where = offset + 4 * H * W * (trajectory * T + start)
            if os.preadv(self.descriptor, [values.data], where) < values.nbytes:
                raise InputError(
                    f"{self.recording.path} is not a whole HDF5 file: {dataset.name.lstrip('/')} "
                    "ends too early"
                )
            if C > 1:
                out[:, channel] = values

    def __del__(self) -> None:
        if self.descriptor >= 0 and self.process == os.getpid():
            os.close(self.descriptor)


def _offset(dataset: h5py.Dataset) -> int | None:
    """Return where the numbers of a contiguous dataset begin in the file, nothing for others."""
    if dataset.chunks or dataset.external or dataset.is_virtual:
        return None
    return dataset.id.get_offset()


def require_same_form(one: Layout, path: Path, other: Layout, first: Path) -> None:
    """Refuse trajectories of another grid or length than those before them.

    Raises:
        InputError: Naming both files.
    """
    for what, seen, expected in (
        ("a grid of", " x ".join(map(str, one.grid)), " x ".join(map(str, other.grid))),
        ("trajectories of so many frames:", one.num_frames, other.num_frames),
        ("the boundaries", " and ".join(one.boundary), " and ".join(other.boundary)),
    ):
        if seen != expected:
            raise InputError(f"{path} has {what} {seen}, expected {expected} as in {first}")
