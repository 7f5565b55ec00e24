"""Trajectories read from The Well's HDF5 layout (Ohana et al. 2024, appendix C).

One file holds n trajectories: fields (n, T, x, y) in `t0_fields`, vectors (n, T, x, y, 2) in
`t1_fields`, the grid in `dimensions`, the physical parameters in `scalars` and the conditions at
the edges in `boundary_conditions`.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from chimera.data.layout.hdf5 import (
    HDF5Recording,
    Place,
    box,
    frame_interval,
    hdf5_dataset,
    open_hdf5,
    read_hdf5,
)
from chimera.data.layout.recordings import Layout, require_shape
from chimera.interface.errors import InputError


def open_well(path: Path) -> HDF5Recording:
    """Describe a file: the fields that vary over trajectories and time, and those constant in time.

    A component of a vector is a channel: `velocity_x` is the first of `t1_fields/velocity`.
    """
    with open_hdf5(path) as file:
        if not any(f"t{rank}_fields" in file for rank in range(3)):
            raise InputError(
                f"{path} has no t0_fields, t1_fields or t2_fields, expected The Well's layout"
            )
        axes = _text(file["dimensions"].attrs.get("spatial_dims")) if "dimensions" in file else []
        axes = axes or ["x", "y"]
        if len(axes) != 2:
            raise InputError(f"{path} has the dimensions {', '.join(axes)}, expected two")
        places, constants, aside, (n, T, H, W) = _fields(file, path, axes)
        extent, uneven = box(file, path, [f"dimensions/{axis}" for axis in axes], (H, W))
        interval = frame_interval(file, path, "dimensions/time", T)
        layout = Layout("well", (H, W), T, _boundary(file, axes), extent, interval)
        scalars = _scalars(file, path, n, aside)
    parent = path.parent.name
    split = parent if parent in ("train", "valid", "test") else None
    return HDF5Recording(
        path, n, layout, tuple(places), scalars, split, places, constants,
        uneven=uneven, aside=aside,
    )  # fmt: skip


def _fields(
    file: h5py.File, path: Path, axes: Sequence[str]
) -> tuple[dict[str, Place], dict[str, str], dict[str, str], tuple[int, ...]]:
    """Return places of fields, constant fields, reasons of those set aside, and (n, T, H, W)."""
    places: dict[str, Place] = {}
    aside: dict[str, str] = {}
    still: dict[str, tuple[int, ...]] = {}
    shape: tuple[int, ...] | None = None
    first = ""
    for rank in range(3):
        for name in file.get(f"t{rank}_fields", ()):
            where = f"t{rank}_fields/{name}"
            suffixes = ["".join(axes[i] for i in part) for part in product(range(2), repeat=rank)]
            channels = [f"{name}_{suffix}" if rank else name for suffix in suffixes]
            try:
                dataset = hdf5_dataset(file, path, where)
                if not dataset.attrs.get("time_varying", True):
                    still[name if rank == 0 else ""] = dataset.shape
                    continue
                if not dataset.attrs.get("sample_varying", True):
                    raise InputError(f"{path}: {where} is one for all trajectories, expected each")
                axis_names = ("trajectories", "frames", "x", "y", *["component"] * rank)
                require_shape(path, where, dataset.shape, axis_names)
                if shape not in (None, dataset.shape[:4]):
                    raise InputError(
                        f"{path}: {where} has shape {dataset.shape}, expected {shape} as {first}"
                    )
            except InputError as error:
                aside |= dict.fromkeys(channels, str(error))
                continue
            shape, first = dataset.shape[:4], where
            parts = product(range(2), repeat=rank)
            places |= {channel: (where, p) for channel, p in zip(channels, parts, strict=True)}
    if shape is None:
        raise InputError(
            next(iter(aside.values()), "")
            or f"{path} has no field that varies in time, expected one to forecast"
        )
    n, _, H, W = shape
    constants = {
        name: f"t0_fields/{name}"
        for name, found in still.items()
        if name and found in ((n, H, W), (H, W))
    }
    return places, constants, aside, shape


def _text(value: Any) -> list[str]:
    items = [] if value is None else np.atleast_1d(value).tolist()
    return [item.decode() if isinstance(item, bytes) else str(item) for item in items]


def _boundary(file: h5py.File, axes: Sequence[str]) -> tuple[str, ...]:
    periodic: set[str] = set()
    for condition in file.get("boundary_conditions", {}).values():
        if "PERIODIC" in [kind.upper() for kind in _text(condition.attrs.get("bc_type"))]:
            periodic |= set(_text(condition.attrs.get("associated_dims")))
    return tuple("periodic" if axis in periodic else "open" for axis in axes)


def _scalars(
    file: h5py.File, path: Path, count: int, aside: dict[str, str]
) -> dict[str, NDArray[np.float64]]:
    """Return the scalars (n,) that are constant in time; one value holds for all trajectories.

    The reason of every other one is added to `aside`.
    """
    found = {}
    for name in file.get("scalars", ()):
        try:
            dataset = hdf5_dataset(file, path, f"scalars/{name}")
        except InputError as error:
            aside[name] = str(error)
            continue
        if dataset.size not in (1, count) or dataset.attrs.get("time_varying", False):
            aside[name] = (
                f"{path}: scalars/{name} has shape {dataset.shape}, expected one number for each "
                f"of {count} trajectories, constant in time"
            )
            continue
        values = np.asarray(read_hdf5(dataset, path, ()), dtype=np.float64).reshape(-1)
        found[name] = np.broadcast_to(values, (count,))
    return found


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
