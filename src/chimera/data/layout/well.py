"""Trajectories read from The Well's HDF5 layout (Ohana et al. 2024, appendix C).

One file holds n trajectories: fields (n, T, x, y) in `t0_fields`, or (n, x, y) if constant in time,
vectors (n, T, x, y, 2) in `t1_fields`, the grid in `dimensions`, the physical parameters in
`scalars` and the conditions at the edges in `boundary_conditions`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from chimera.data.layout import hdf5
from chimera.data.layout.hdf5 import HDF5Recording, Place, hdf5_dataset, open_hdf5, read_hdf5
from chimera.data.layout.recordings import Array
from chimera.interface.errors import InputError


def open_well(path: Path) -> HDF5Recording:
    """Describe a file: the fields that vary over trajectories and time, and those constant in time.

    A component of a vector is a channel: `velocity_x` is the first of `t1_fields/velocity`.
    """
    with open_hdf5(path) as file:
        if not any(f"t{rank}_fields" in file for rank in range(3)):
            raise InputError(f"{path} has no t0_fields, t1_fields or t2_fields, expected one")
        axes = _text(file["dimensions"].attrs.get("spatial_dims")) if "dimensions" in file else []
        axes = axes or ["x", "y"]
        if len(axes) != 2:
            raise InputError(f"{path} has the dimensions {', '.join(axes)}, expected two")
        varying, still = _fields(file, axes)
        coordinates = [f"dimensions/{axis}" for axis in ("time", *axes)]
        found = hdf5.recorded(file, "well", varying, coordinates, _boundary(file, axes))
        if (stated := _text(file.attrs.get("n_trajectories", found.count))) != [str(found.count)]:
            counted = f"{path} has {found.count} trajectories"
            raise InputError(f"{counted}, expected {' '.join(stated)} as n_trajectories says")
        scalars, others = hdf5.numbers(file, "scalars", found.count)
        shapes = (found.layout.grid, (found.count, *found.layout.grid))
        constants = {
            name: partial(_constant, path, where)
            for name, where in still.items()
            if getattr(file[where], "shape", ()) in shapes
        }
    split = path.parent.name if path.parent.name in ("train", "valid", "test") else None
    aside = {**found.aside, **others}
    return replace(found, scalars=scalars, split=split, constants=constants, aside=aside)


def _fields(file: h5py.File, axes: Sequence[str]) -> tuple[dict[str, Place], dict[str, str]]:
    """Return the places of fields, and the datasets of scalar ones that are constant in time."""
    places: dict[str, Place] = {}
    still: dict[str, str] = {}
    for rank in range(3):
        for name, dataset in file.get(f"t{rank}_fields", {}).items():
            where = f"t{rank}_fields/{name}"
            if not np.all(dataset.attrs.get("time_varying", True)):
                still |= {name: where} if rank == 0 else {}
                continue
            for component in product(range(2), repeat=rank):
                suffix = "".join(axes[i] for i in component)
                places[f"{name}_{suffix}" if rank else name] = (where, component)
    return places, still


def _constant(path: Path, name: str, trajectories: Sequence[int]) -> Array:
    """Return a field that is constant in time, stored as (n, H, W), or (H, W) for all."""
    with open_hdf5(path) as file:
        dataset = hdf5_dataset(file, name)
        if dataset.ndim == 2:
            values = read_hdf5(dataset, ())[None].repeat(len(trajectories), axis=0)
        else:
            values = np.stack([read_hdf5(dataset, i) for i in trajectories])
    return values.astype(np.float32)


def _text(value: Any) -> list[str]:
    items = [] if value is None else np.atleast_1d(value).tolist()
    return [i.decode(errors="replace") if isinstance(i, bytes) else str(i) for i in items]


def _boundary(file: h5py.File, axes: Sequence[str]) -> tuple[str, ...]:
    periodic: set[str] = set()
    for condition in file.get("boundary_conditions", {}).values():
        kinds = [kind.upper() for kind in _text(condition.attrs.get("bc_type"))]
        if unknown := sorted({*kinds} - {"PERIODIC", "WALL", "OPEN"}):
            where = f"{file.filename}: {condition.name.lstrip('/')}"
            raise InputError(f"{where} is {unknown[0]}, expected PERIODIC, WALL or OPEN")
        if "PERIODIC" in kinds:
            periodic |= set(_text(condition.attrs.get("associated_dims")))
    return tuple("periodic" if axis in periodic else "open" for axis in axes)


def channel_moments(stats: Mapping[str, Any], channels: Sequence[str]) -> dict[str, list[float]]:
    """Return `mean` and `std` of every channel from the content of stats.yaml."""
    return {m: [_moment(stats, m, channel) for channel in channels] for m in ("mean", "std")}


def _moment(stats: Mapping[str, Any], moment: str, channel: str) -> float:
    values = stats[moment]
    if channel in values:
        return float(values[channel])
    vector, _, axis = channel.rpartition("_")
    if vector in values and axis in ("x", "y"):
        return float(values[vector]["xy".index(axis)])
    raise InputError(f"stats.yaml has no {moment} of {channel!r}, expected one of {list(values)}")
