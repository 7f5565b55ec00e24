"""PDEBench's HDF5 layouts (Takamoto et al. 2022), read and written, and PDEArena's, read.

2D_CFD, compressible: root datasets `Vx`, `Vy`, `density`, `pressure` (n, T, x, y), the coordinates
of the cell centres in `x-coordinate` and `y-coordinate`, `t-coordinate` with one entry more than
there are frames, and the physical parameters in root attributes (`eta`, `zeta`, `M`).

NS_incom, incompressible: `velocity` (n, T, x, y, 2), `particles` (n, T, x, y, 1), `t` (n, T), the
settings as YAML in the root attribute `config`, and `latestIndex`, the last frame that was written.

PDEArena (Gupta & Brandstetter 2023): one group `train`, `valid` or `test` with `u` (a scalar), `vx`
and `vy` (n, T, x, y), the coordinates `t`, `x`, `y` and numbers a trajectory such as `buo_y`.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml

from chimera.data.layout.hdf5 import (
    HDF5Recording,
    Place,
    box,
    frame_interval,
    hdf5_dataset,
    open_hdf5,
)
from chimera.data.layout.recordings import Array, Layout, require_shape
from chimera.data.settings import SPLITS
from chimera.interface.errors import InputError, listed

_COMPRESSIBLE = {
    "velocity_x": "Vx",
    "velocity_y": "Vy",
    "density": "density",
    "pressure": "pressure",
}
_AXES = ("sample", "time", "x", "y")
_EXTENT = ("extent_x", "extent_y")
_ARENA = {"velocity_x": "vx", "velocity_y": "vy", "u": "u"}


def open_pdebench(path: Path) -> HDF5Recording:
    """Describe a file of either of PDEBench's layouts."""
    with open_hdf5(path) as file:
        if "velocity" in file:
            return _incompressible(path, file)
        if any(name in file for name in _COMPRESSIBLE.values()):
            return _compressible(path, file)
        raise InputError(
            f"{path} has the datasets {listed(file)}, expected PDEBench's: Vx, Vy, density, "
            "pressure (2D_CFD) or velocity (2D incompressible)"
        )


def open_pdearena(path: Path) -> HDF5Recording:
    """Describe a file in PDEArena's layout."""
    with open_hdf5(path) as file:
        groups = [split for split in SPLITS if isinstance(file.get(split), h5py.Group)]
        if len(groups) != 1:
            raise InputError(
                f"{path} has {listed(file)}, expected one group of PDEArena's: {', '.join(SPLITS)}"
            )
        split = groups[0]
        names = {f: f"{split}/{name}" for f, name in _ARENA.items() if name in file[split]}
        places, aside, (n, T, H, W) = _alike(path, file, {f: (p, ()) for f, p in names.items()})
        extent, uneven = box(file, path, (f"{split}/x", f"{split}/y"), (H, W))
        interval = frame_interval(file, path, f"{split}/t", T)
        layout = Layout("pdearena", (H, W), T, ("open", "open"), extent, interval)
        scalars = {
            name: np.broadcast_to(dataset[...].astype(np.float64).reshape(-1), (n,))
            for name, dataset in file[split].items()
            if isinstance(dataset, h5py.Dataset) and dataset.size in (1, n) and dataset.ndim < 2
        }
    return HDF5Recording(
        path, n, layout, tuple(places), scalars, split, places, uneven=uneven, aside=aside
    )


def _alike(
    path: Path, file: h5py.File, wanted: Mapping[str, Place]
) -> tuple[dict[str, Place], dict[str, str], tuple[int, ...]]:
    """Return the places of fields of one shape (n, T, H, W), it, and why others are set aside."""
    places: dict[str, Place] = {}
    aside: dict[str, str] = {}
    shape: tuple[int, ...] = ()
    for field, (name, component) in wanted.items():
        try:
            found = hdf5_dataset(file, path, name).shape
            require_shape(path, name, found, (*_AXES, *["component"] * len(component)))
            shape = shape or found[:4]
            parts = sum(other == name for other, _ in wanted.values())
            if found[:4] != shape or found[4:] not in ((), (parts,)):
                raise InputError(
                    f"{path}: {name} has shape {found}, expected {shape} as its other datasets"
                )
            places[field] = name, component
        except InputError as error:
            aside[field] = str(error)
    if not places:
        raise InputError(next(iter(aside.values()), f"{path} has none of {', '.join(_ARENA)}"))
    return places, aside, shape


def _compressible(path: Path, file: h5py.File) -> HDF5Recording:
    wanted: dict[str, Place] = {f: (name, ()) for f, name in _COMPRESSIBLE.items() if name in file}
    places, aside, (n, T, H, W) = _alike(path, file, wanted)
    extent, uneven = box(file, path, ("x-coordinate", "y-coordinate"), (H, W))
    interval = frame_interval(file, path, "t-coordinate", T)
    layout = Layout("pdebench", (H, W), T, extent=extent, frame_interval=interval)
    scalars = {
        name: np.full(n, float(value))
        for name, value in file.attrs.items()
        if np.ndim(value) == 0 and isinstance(value, int | float | np.number)
    }
    return HDF5Recording(
        path, n, layout, tuple(places), scalars, None, places, uneven=uneven, aside=aside
    )


def _incompressible(path: Path, file: h5py.File) -> HDF5Recording:
    wanted: dict[str, Place] = {"velocity_x": ("velocity", (0,)), "velocity_y": ("velocity", (1,))}
    wanted |= {name: (name, (0,)) for name in ("particles", "pressure") if name in file}
    places, aside, (n, stored, H, W) = _alike(path, file, wanted)
    # A simulation that was stopped has zeros in the frames after its latest.
    T = min(int(file.attrs.get("latestIndex", stored - 1)) + 1, stored)
    if T < stored:
        aside["frames"] = f"{path}: latestIndex is {T - 1}, expected {stored - 1}, its last frame"
    settings = _settings(file.attrs.get("config", ""))
    periodic = str(settings.get("velocity_extrapolation", "")).lower() == "periodic"
    numbers = {name: float(value) for name, value in settings.items() if _is_number(value)}
    sides = settings.get("domain_size")
    sides = sides if isinstance(sides, list) else [numbers.get(key) for key in _EXTENT]
    extent = tuple(float(side) for side in sides if _is_number(side))
    layout = Layout(
        "pdebench",
        (H, W),
        T,
        ("periodic" if periodic else "open",) * 2,
        extent if len(extent) == 2 and all(extent) else None,
        frame_interval(file, path, "t", T),
    )
    scalars = {name: np.full(n, value) for name, value in numbers.items()}
    return HDF5Recording(path, n, layout, tuple(places), scalars, None, places, aside=aside)


def _settings(config: Any) -> dict[str, Any]:
    try:
        read = yaml.safe_load(config) if isinstance(config, str) else None
    except yaml.YAMLError:
        read = None
    return {str(k).lower(): v for k, v in read.items()} if isinstance(read, dict) else {}


def _is_number(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


def write_incompressible(
    path: Path,
    blocks: Iterator[tuple[int, int, Array]],
    n: int,
    *,
    layout: Layout,
    settings: Mapping[str, float],
) -> None:
    """Write or overwrite a file of n trajectories in the 2D incompressible layout.

    A chunk is one frame. The blocks are those of the velocity (t, 2, H, W), see Recording.blocks;
    the settings, physical parameters by name, are written into the attribute `config`.
    """
    T, (H, W) = layout.num_frames, layout.grid
    closed = layout.boundary == ("periodic", "periodic")
    config = {"velocity_extrapolation": "periodic" if closed else "zero"}
    for key, length in zip(_EXTENT, layout.extent or (), strict=False):
        config[key] = repr(float(length))
    config |= {name: repr(float(value)) for name, value in settings.items()}
    with h5py.File(path, "w") as file:
        file.attrs["config"] = "".join(f"{name}: {value}\n" for name, value in config.items())
        file.attrs["latestIndex"] = T - 1
        velocity = file.create_dataset(
            "velocity",
            (n, T, H, W, 2),
            np.float32,
            chunks=(1, 1, H, W, 2),
            compression="lzf",
            shuffle=True,
        )
        times = np.arange(T, dtype=np.float32) * np.float32(layout.frame_interval or 1.0)
        file["t"] = np.broadcast_to(times, (n, T))
        for trajectory, start, block in blocks:
            velocity[trajectory, start : start + len(block)] = np.moveaxis(block, 1, -1)
