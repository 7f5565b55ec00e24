"""HDF5 files, read in order: opened once, along their chunks, every fault a sentence.

A field lies at a `Place`: a dataset (n, T, x, y), or one component of a dataset (n, T, x, y, ...).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from chimera.data.layout.recordings import Array, Layout, Recording, block_frames
from chimera.interface.errors import InputError

# The dataset of a field, and its component where the dataset has several.
Place = tuple[str, tuple[int, ...]]

# Most bytes that HDF5 may keep of a dataset's chunks.
_MOST_CACHE = 1 << 27


def open_hdf5(path: Path, cache: int = 1 << 20) -> h5py.File:
    """Open an HDF5 file for reading, with room for `cache` bytes of chunks for each dataset.

    Raises:
        InputError: If it is missing, cut off or another format.
    """
    try:
        return h5py.File(path, "r", rdcc_nbytes=cache)
    except FileNotFoundError:
        raise InputError(f"{path} is not there, expected an HDF5 file") from None
    except OSError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is not a whole HDF5 file: {reason}") from None


def hdf5_dataset(file: h5py.File, path: Path, name: str) -> h5py.Dataset:
    """Return a dataset of real numbers that can be read.

    Raises:
        InputError: If it is missing, of another kind, or compressed by a filter that is missing.
    """
    try:
        dataset = file[name]
    except (KeyError, OSError, RuntimeError):
        raise InputError(f"{path} has no dataset {name!r}, expected one") from None
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiu":
        kind = dataset.dtype if isinstance(dataset, h5py.Dataset) else "a group"
        raise InputError(f"{path}: {name} is {kind}, expected a dataset of real numbers")
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


def read_hdf5(dataset: h5py.Dataset, path: Path, where: Any) -> NDArray[Any]:
    """Return part of a dataset.

    Raises:
        InputError: If the bytes cannot be read.
    """
    try:
        return dataset[where]
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot read {dataset.name.lstrip('/')}: {reason}") from None


def uniform_spacing(coordinates: NDArray[Any]) -> float | None:
    """Return the distance of equidistant points (N,), nothing if they are not equidistant."""
    steps = np.diff(np.asarray(coordinates, dtype=np.float64))
    if len(steps) == 0 or not np.isfinite(steps).all() or steps.mean() <= 0:
        return None
    close = np.abs(steps - steps.mean()).max() <= 1e-3 * steps.mean()
    return float(steps.mean()) if close else None


def read_blocks(
    path: Path,
    layout: Layout,
    places: Sequence[Place],
    trajectories: Sequence[int],
) -> Iterator[tuple[int, int, Array]]:
    """Read trajectories in blocks of whole chunks.

    Args:
        path: The file.
        layout: Of its trajectories.
        places: Of the C fields to read.
        trajectories: Numbers in ascending order.

    Yields:
        The trajectory, the first frame and the fields (t, C, H, W).

    Raises:
        InputError: If a dataset cannot be read.
    """
    T, (H, W) = layout.num_frames, layout.grid
    chunk, cache = _chunks(path, [name for name, _ in places])
    size = min(block_frames(layout, len(places), chunk), T)
    with open_hdf5(path, cache) as file:
        sets = {name: hdf5_dataset(file, path, name) for name, _ in places}
        for trajectory in trajectories:
            for start in range(0, T, size):
                frames = slice(start, min(start + size, T))
                block = np.empty((frames.stop - start, len(places), H, W), dtype=np.float32)
                read = {n: read_hdf5(s, path, (trajectory, frames)) for n, s in sets.items()}
                for channel, (name, component) in enumerate(places):
                    block[:, channel] = component_of(read[name], component)
                yield trajectory, start, block


@dataclass(frozen=True)
class HDF5Recording(Recording):
    """Trajectories of one file; `places` says where each field is."""

    places: Mapping[str, Place]

    def where(self, field: str) -> str:
        """Return the dataset of a field."""
        return self.places[field][0]

    def blocks(
        self, trajectories: Sequence[int], fields: Sequence[str]
    ) -> Iterator[tuple[int, int, Array]]:
        """See Recording."""
        places = [self.places[field] for field in fields]
        return read_blocks(self.path, self.layout, places, trajectories)


def component_of(values: NDArray[Any], component: tuple[int, ...]) -> NDArray[Any]:
    """Return one component of (..., d, ...), or the values themselves if they have none."""
    return values[(..., *component)] if component else values  # type: ignore[arg-type]


def _chunks(path: Path, names: Sequence[str]) -> tuple[int, int]:
    """Return the frames of the longest chunk, and bytes of cache that hold two of the largest."""
    with open_hdf5(path) as file:
        sets = [hdf5_dataset(file, path, name) for name in dict.fromkeys(names)]
        chunked = [(s.chunks, s.dtype.itemsize) for s in sets if s.chunks]
    frames = max((shape[1] for shape, _ in chunked), default=1)
    largest = max((math.prod(shape) * item for shape, item in chunked), default=0)
    return frames, min(max(2 * largest, 1 << 20), _MOST_CACHE)
