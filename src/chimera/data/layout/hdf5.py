"""HDF5 files: opened once, read along their chunks, every fault reported in one sentence.

A field is at a `Place`: a dataset (n, T, x, y), or one component of a dataset (n, T, x, y, ...).
"""

import math
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from chimera.data.layout.recordings import Array, Layout, Recording, read_blocks, require_shape
from chimera.interface.errors import InputError

_AXES = ("trajectories", "frames", "x", "y")

# Bytes of a dataset for each byte of it in the file that no compression reaches.
_MAX_RATIO = 1 << 16

# The dataset of a field, and its component where the dataset has several.
Place = tuple[str, tuple[int, ...]]

# Bytes of a dataset's chunks that HDF5 keeps in memory.
_MIN_CACHE, _MAX_CACHE = 1 << 20, 1 << 27


@contextmanager
def open_hdf5(path: Path, cache: int = _MIN_CACHE) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading, with room for `cache` bytes of chunks for each dataset.

    An OSError, a RuntimeError or text that is no UTF-8, here or in the block, is an InputError.
    """
    try:
        with h5py.File(path, "r", rdcc_nbytes=cache) as file:
            if outward := file.id.links.visit(_outward, info=True):
                raise InputError(f"{path}: {outward}, expected everything in this one")
            yield file
    except FileNotFoundError:
        raise InputError(f"{path} does not exist, expected an HDF5 file") from None
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is not a whole HDF5 file: {reason}") from None


def _outward(name: bytes, link: Any) -> str | None:
    """Describe a link out of the file, whose target no checksum covers."""
    inner = link.type in (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT)
    return None if inner else f"{name.decode(errors='replace')} is in another file"


def hdf5_dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """Return a dataset of real numbers."""
    path = file.filename
    try:
        dataset = file[name]
        is_set = isinstance(dataset, h5py.Dataset)
        kind, stored = (dataset.dtype, dataset.id.get_storage_size()) if is_set else ("a group", 0)
    except (KeyError, OSError, RuntimeError, ValueError):  # a damaged header has no type or size
        raise InputError(f"{path} has no whole dataset {name!r}, expected one") from None
    if not is_set or dataset.shape is None or dataset.dtype.kind not in "fiu":
        raise InputError(f"{path}: {name} is {kind}, expected a dataset of real numbers")
    if dataset.is_virtual or dataset.external or dataset.file.filename != file.filename:
        raise InputError(f"{path}: {name} is in other files, expected everything in this one")
    if dataset.nbytes > _MAX_RATIO * (stored + 1):
        raise InputError(f"{path}: {name} has shape {dataset.shape}, expected values in the file")
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
    return dataset


def read_hdf5(dataset: h5py.Dataset, where: Any) -> NDArray[Any]:
    """Return part of a dataset."""
    try:
        return dataset[where]
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        place = f"{dataset.file.filename}: cannot read {dataset.name.lstrip('/')}"
        raise InputError(f"{place}: {reason}") from None


def _steps(file: h5py.File, name: str, count: int) -> NDArray[np.float64] | None:
    """Return the differences of the first `count` of coordinates (..., N), None without any."""
    if name not in file:
        return None
    points = np.squeeze(read_hdf5(hdf5_dataset(file, name), ()))  # of (N, 1), too
    points = np.atleast_1d(points).astype(np.float64)[..., :count]
    steps: NDArray[np.float64] = np.diff(points)
    return steps if steps.size else None


def _is_even(steps: NDArray[np.float64]) -> bool:
    mean = float(steps.mean())
    return mean != 0 and bool(np.abs(steps - mean).max() <= 1e-3 * abs(mean))


def frame_interval(file: h5py.File, name: str, num_frames: int) -> float | None:
    """Return the time between two frames, None if none is stored; InputError if it varies."""
    steps = _steps(file, name, num_frames)
    if steps is None:
        return None
    if _is_even(steps) and steps.mean() > 0:
        return float(steps.mean())
    raise InputError(
        f"{file.filename} has frames {steps.min():.4g} to {steps.max():.4g} apart in {name}, "
        "expected one interval for all: resample them, as a network forecasts one interval ahead"
    )


def box(
    file: h5py.File, names: Sequence[str], grid: Sequence[int]
) -> tuple[tuple[float, ...] | None, tuple[str, ...]]:
    """Return the lengths of all axes, negative where one descends, or None, and the uneven axes."""
    steps = [_steps(file, name, N) for name, N in zip(names, grid, strict=True)]
    known = [(s, name, N) for s, name, N in zip(steps, names, grid, strict=True) if s is not None]
    uneven = tuple(name for s, name, _ in known if not _is_even(s))
    lengths = tuple(float(s.mean()) * N for s, _, N in known)
    return lengths if len(known) == len(grid) and not uneven else None, uneven


def alike(
    file: h5py.File, wanted: Mapping[str, Place]
) -> tuple[dict[str, Place], dict[str, str], tuple[int, ...]]:
    """Return the places of fields of one shape, why others are set aside, and that shape."""
    path = file.filename
    places: dict[str, Place] = {}
    aside: dict[str, str] = {}
    shape: tuple[int, ...] = ()
    for name, (where, component) in wanted.items():
        try:
            found = hdf5_dataset(file, where).shape
            require_shape(path, where, found, (*_AXES, *["component"] * len(component)))
            if found[:4] != (shape or found[:4]):
                raise InputError(f"{path}: {where} has shape {found}, expected {shape} as others")
            parts = sum(other == where for other, _ in wanted.values())
            if math.prod(found[4:]) != parts:
                raise InputError(f"{path}: {where} has shape {found}, expected {parts} components")
            shape, places[name] = found[:4], (where, component)
        except InputError as error:
            aside[name] = str(error)
    if not places:
        none = f"{path} has no field that varies in time, expected one"
        raise InputError(next(iter(aside.values()), none))
    return places, aside, shape


def numbers(
    file: h5py.File, group: str, count: int
) -> tuple[dict[str, NDArray[np.float64]], dict[str, str]]:
    """Return the scalars (count,) of a group by name, and why its other datasets are none."""
    path, found, aside = file.filename, {}, {}
    for name in file.get(group, ()):
        try:
            dataset = hdf5_dataset(file, f"{group}/{name}")
            if dataset.size not in (1, count) or np.any(dataset.attrs.get("time_varying", False)):
                raise InputError(
                    f"{path}: {group}/{name} has shape {dataset.shape}, expected one number for "
                    f"each of {count} trajectories, constant in time"
                )
            values = np.asarray(read_hdf5(dataset, ()), dtype=np.float64).reshape(-1)
            found[name] = np.broadcast_to(values, (count,))
        except InputError as error:
            aside[name] = str(error)
    return found, aside


@dataclass(frozen=True)
class HDF5Recording(Recording):
    """Trajectories of one HDF5 file."""

    places: Mapping[str, Place] = field(kw_only=True)  # of each field
    reverse: bool = field(default=False, kw_only=True)  # datasets are (T, y, x, n)

    def blocks(
        self, trajectories: Sequence[int], fields: Sequence[str]
    ) -> Iterator[tuple[int, int, Array]]:
        """Read blocks of whole chunks, see Recording."""
        with open_hdf5(self.path) as file:
            sets = [hdf5_dataset(file, self.places[name][0]) for name in fields]
            chunks = [(s.chunks, s.dtype.itemsize) for s in sets if s.chunks]
            kind = np.result_type(np.float32, *(s.dtype for s in sets))
        chunk = max((1 if self.reverse else shape[1] for shape, _ in chunks), default=1)
        largest = max((math.prod(shape) * item for shape, item in chunks), default=0)
        cache = min(max(2 * largest, _MIN_CACHE), _MAX_CACHE)
        with closing(FieldReader(self, fields, cache)) as reader:
            yield from read_blocks(self.layout, trajectories, len(sets), reader.read, kind, chunk)


def recorded(
    file: h5py.File,
    source: str,
    wanted: Mapping[str, Place],
    coordinates: Sequence[str],
    boundary: tuple[str, ...],
) -> HDF5Recording:
    """Describe the fields of a file, without its scalars; the coordinates are those of t, x, y."""
    places, aside, (n, T, H, W) = alike(file, wanted)
    extent, uneven = box(file, coordinates[1:], (H, W))
    interval = frame_interval(file, coordinates[0], T)
    layout = Layout(source, (H, W), T, boundary, extent, interval)
    path, fields = Path(file.filename), tuple(places)
    return HDF5Recording(path, n, layout, fields, {}, places=places, uneven=uneven, aside=aside)


class FieldReader:
    """Fields of one open file.

    Contiguous float32 datasets are read straight from their offset in the file, all others through
    HDF5, which keeps `cache` bytes of chunks of each, once for all components.
    """

    def __init__(self, recording: HDF5Recording, fields: Sequence[str], cache: int) -> None:
        self._recording, stack = recording, ExitStack()
        self._file, self.close = stack.enter_context(open_hdf5(recording.path, cache)), stack.close
        self._descriptor = self._file.id.get_vfd_handle()
        channels: dict[str, list[tuple[int, tuple[int, ...]]]] = defaultdict(list)
        for channel, wanted in enumerate(fields):
            name, component = recording.places[wanted]
            channels[name].append((channel, component))
        self._sets = [(hdf5_dataset(self._file, name), found) for name, found in channels.items()]

    def read(self, trajectory: int, start: int, out: Array) -> None:
        """Read frames start, start + 1, ... of a trajectory into out (length, C, H, W)."""
        for dataset, channels in self._sets:
            values = self._frames(dataset, trajectory, start, len(out))
            for channel, component in channels:
                out[:, channel] = values[(..., *component)]

    def _frames(self, dataset: h5py.Dataset, trajectory: int, start: int, length: int) -> Any:
        """Return frames (length, H, W, ...) of one dataset."""
        start += self._recording.first_frame
        part = slice(start, start + length)
        if self._recording.reverse:
            return read_hdf5(dataset, (part, ..., trajectory)).swapaxes(1, 2)
        is_plain = dataset.ndim == 4 and dataset.dtype == np.dtype("<f4") and not dataset.chunks
        offset = dataset.id.get_offset() if is_plain else None
        if offset is None:
            return read_hdf5(dataset, (trajectory, part))
        frames = np.empty((length, *dataset.shape[2:]), dtype=np.float32)
        first = (trajectory * dataset.shape[1] + start) * math.prod(dataset.shape[2:])
        if os.preadv(self._descriptor, [frames.data], offset + 4 * first) < frames.nbytes:
            early = f"{dataset.name.lstrip('/')} ends too early"
            raise InputError(f"{self._recording.path} is not a whole HDF5 file: {early}")
        return frames
