"""HDF5 files: opened once, read along their chunks, every fault reported in one sentence.

A field is at a `Place`: a dataset (n, T, x, y), or one component of a dataset (n, T, x, y, ...).
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from chimera.data.layout.recordings import Array, Recording, block_frames
from chimera.interface.errors import InputError

# The dataset of a field, and its component where the dataset has several.
Place = tuple[str, tuple[int, ...]]

# Bytes of a dataset's chunks that HDF5 keeps in memory.
_MIN_CACHE, _MAX_CACHE = 1 << 20, 1 << 27


def open_hdf5(path: Path, cache: int = _MIN_CACHE) -> h5py.File:
    """Open an HDF5 file for reading, with room for `cache` bytes of chunks for each dataset."""
    try:
        file = h5py.File(path, "r", rdcc_nbytes=cache)
        outward = file.id.links.visit(_outward, info=True)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist, expected an HDF5 file") from None
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is not a whole HDF5 file: {reason}") from None
    if outward is not None:
        file.close()
        raise InputError(f"{path}: {outward} is in another file, expected everything in this one")
    return file


def _outward(name: bytes, link: Any) -> str | None:
    """Return the name of a link out of the file, whose target no checksum covers."""
    inner = link.type in (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT)
    return None if inner else name.decode(errors="replace")


def hdf5_dataset(file: h5py.File, path: Path, name: str) -> h5py.Dataset:
    """Return a dataset of real numbers."""
    try:
        dataset = file[name]
    except (KeyError, OSError, RuntimeError):
        raise InputError(f"{path} has no dataset {name!r}, expected one") from None
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiu":
        kind = dataset.dtype if isinstance(dataset, h5py.Dataset) else "a group"
        raise InputError(f"{path}: {name} is {kind}, expected a dataset of real numbers")
    if dataset.external or dataset.is_virtual:
        raise InputError(f"{path}: {name} is in other files, expected everything in this one")
    creation = dataset.id.get_create_plist()
    for number in range(creation.get_nfilters()):
        code, _, _, label = creation.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            title = label.decode(errors="replace").split(";")[0] or "unnamed"
            raise InputError(
                f"{path}: {name} is compressed with filter {code} ({title}), which is not "
                "installed, expected one that HDF5 has: install its plugin (such as hdf5plugin) "
                "and set HDF5_PLUGIN_PATH, or store the file with gzip or none"
            )
    if dataset.shape is None or not _is_stored(dataset, path.stat().st_size):
        raise InputError(
            f"{path}: {name} has shape {dataset.shape}, expected one whose values the file holds"
        )
    return dataset


def _is_stored(dataset: h5py.Dataset, size: int) -> bool:
    """Whether a file of this size has every value that the shape declares."""
    if dataset.chunks:
        pairs = zip(dataset.shape, dataset.chunks, strict=True)
        return dataset.id.get_num_chunks() == math.prod(-(-n // chunk) for n, chunk in pairs)
    stored, offset = dataset.id.get_storage_size(), dataset.id.get_offset() or 0
    return dataset.size * dataset.dtype.itemsize <= stored <= size - offset


def read_hdf5(dataset: h5py.Dataset, path: Path, where: Any) -> NDArray[Any]:
    """Return part of a dataset."""
    try:
        return dataset[where]
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot read {dataset.name.lstrip('/')}: {reason}") from None


def coordinate_spacing(
    file: h5py.File, path: Path, name: str, count: int | None = None
) -> float | None:
    """Return the distance of equidistant coordinates (..., N), of which the first row is read.

    None if there are none, they are not equidistant, or N is not `count`.
    """
    if name not in file:
        return None
    points = np.atleast_1d(read_hdf5(hdf5_dataset(file, path, name), path, ())).astype(np.float64)
    row = points[(0,) * (points.ndim - 1)]
    steps = np.diff(row)
    if len(steps) == 0 or not np.isfinite(steps).all() or count not in (None, len(row)):
        return None
    mean = float(steps.mean())
    return mean if mean > 0 and np.abs(steps - mean).max() <= 1e-3 * mean else None


def box_lengths(spacings: Sequence[float | None], grid: Sequence[int]) -> tuple[float, ...] | None:
    """Return the lengths of a domain of N cells along each axis, None if a spacing is unknown."""
    lengths = [s * N for s, N in zip(spacings, grid, strict=True) if s is not None]
    return tuple(lengths) if len(lengths) == len(grid) else None


@dataclass(frozen=True)
class HDF5Recording(Recording):
    """Trajectories of one HDF5 file.

    Attributes:
        places: Place of each field.
        constants: Dataset of each field that is constant in time, (n, H, W), or (H, W) for all.
    """

    places: Mapping[str, Place]
    constants: Mapping[str, str] = field(default_factory=dict)

    def where(self, field: str) -> str:
        """Return the dataset of a field."""
        return self.places[field][0]

    def constant(self, name: str, trajectories: Sequence[int]) -> Array:
        """Return a field that is constant in time, (n, H, W) of these trajectories."""
        with open_hdf5(self.path) as file:
            dataset = hdf5_dataset(file, self.path, self.constants[name])
            if dataset.ndim == 2:
                values = read_hdf5(dataset, self.path, ())[None].repeat(len(trajectories), axis=0)
            else:
                values = np.stack([read_hdf5(dataset, self.path, i) for i in trajectories])
        return values.astype(np.float32)

    def blocks(
        self, trajectories: Sequence[int], fields: Sequence[str]
    ) -> Iterator[tuple[int, int, Array]]:
        """Read blocks of whole chunks, see Recording."""
        with open_hdf5(self.path) as file:
            sets = [hdf5_dataset(file, self.path, self.where(field)) for field in fields]
            chunks = [(s.chunks, s.dtype.itemsize) for s in sets if s.chunks]
        longest = max((shape[1] for shape, _ in chunks), default=1)
        largest = max((math.prod(shape) * item for shape, item in chunks), default=0)
        cache = min(max(2 * largest, _MIN_CACHE), _MAX_CACHE)
        size = block_frames(self.layout, len(fields), longest)
        with closing(FieldReader(self, fields, cache)) as reader:
            for trajectory in trajectories:
                for start in range(0, self.layout.num_frames, size):
                    count = min(size, self.layout.num_frames - start)
                    block = np.empty((count, len(fields), *self.layout.grid), dtype=np.float32)
                    reader.read(trajectory, start, block)
                    yield trajectory, start, block


class FieldReader:
    """Fields of one open file.

    Contiguous float32 datasets are read straight from their offset in the file, all others through
    HDF5, which keeps `cache` bytes of chunks of each, once for all components.
    """

    def __init__(self, recording: HDF5Recording, fields: Sequence[str], cache: int) -> None:
        self._path, self._num_frames = recording.path, recording.layout.num_frames
        self._file = open_hdf5(self._path, cache)
        self._descriptor = self._file.id.get_vfd_handle()
        channels: dict[str, list[tuple[int, tuple[int, ...]]]] = {}
        for channel, wanted in enumerate(fields):
            name, component = recording.places[wanted]
            channels.setdefault(name, []).append((channel, component))
        sets = {name: hdf5_dataset(self._file, self._path, name) for name in channels}
        self._sets = [(sets[name], _offset(sets[name]), found) for name, found in channels.items()]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, trajectory: int, start: int, out: Array) -> None:
        """Read frames start, start + 1, ... of a trajectory into out (length, C, H, W)."""
        length, C, H, W = out.shape
        for dataset, offset, channels in self._sets:
            if offset is None:
                part = (trajectory, slice(start, start + length))
                values = read_hdf5(dataset, self._path, part)
                for channel, component in channels:
                    out[:, channel] = values[(..., *component)]  # type: ignore[arg-type]
                continue
            # One channel fills `out` without a gap; one of several is copied into it.
            whole = C == 1 and out.flags.c_contiguous
            frames = out if whole else np.empty((length, H, W), dtype=np.float32)
            first = offset + 4 * H * W * (trajectory * self._num_frames + start)
            if os.preadv(self._descriptor, [frames.data], first) < frames.nbytes:
                raise InputError(
                    f"{self._path} is not a whole HDF5 file: {dataset.name.lstrip('/')} "
                    "ends too early"
                )
            if not whole:
                out[:, channels[0][0]] = frames


def _offset(dataset: h5py.Dataset) -> int | None:
    """Return the offset in the file of a contiguous float32 field, None for other datasets."""
    if dataset.ndim > 4 or dataset.dtype != np.dtype("<f4"):
        return None
    if dataset.chunks or dataset.external or dataset.is_virtual:
        return None
    return dataset.id.get_offset()
