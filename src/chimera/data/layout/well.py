"""Trajectories in The Well's HDF5 layout (Ohana et al. 2024, appendix C), written and read.

One file holds n trajectories: fields (n, T, x, y) in `t0_fields`, vectors (n, T, x, y, 2) in
`t1_fields`, the grid in `dimensions`, the physics in `scalars` and what holds at the edges in
`boundary_conditions`. What is written is float32 and contiguous; equal content gives equal bytes.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from chimera.data.layout.hdf5 import (
    HDF5Recording,
    Place,
    hdf5_dataset,
    open_hdf5,
    read_hdf5,
    uniform_spacing,
)
from chimera.data.layout.recordings import Array, Layout, require_rank
from chimera.fourier import velocity
from chimera.interface.errors import InputError

_VARYING = {"sample_varying": True, "time_varying": True, "dim_varying": [True, True]}


def write_trajectories(
    path: Path,
    vorticity: Array,
    *,
    dataset_name: str,
    domain_extent: float,
    frame_interval: float,
    scalars: Mapping[str, float],
) -> None:
    """Write one file of what the solver made; the velocity is computed from the vorticity.

    Args:
        path: Where to; an existing file is overwritten.
        vorticity: (n, T, N, N), x before y.
        dataset_name: As The Well's loader reports it.
        domain_extent: Side of the periodic box.
        frame_interval: Time between two frames.
        scalars: Physics by name, such as viscosity.
    """
    n, T, N, _ = vorticity.shape
    box = ("periodic", "periodic"), (domain_extent, domain_extent)
    layout = Layout("generated", (N, N), T, *box, frame_interval)
    with h5py.File(path, "w") as file:
        _describe(file, dataset_name, n, layout, scalars)
        rank0 = file.create_group("t0_fields")
        rank0.attrs["field_names"] = ["vorticity"]
        _write(rank0, "vorticity", vorticity, **_VARYING)
        rank1 = file.create_group("t1_fields")
        rank1.attrs["field_names"] = ["velocity"]
        flow = velocity(torch.from_numpy(vorticity).double(), domain_extent).float().numpy()
        _write(rank1, "velocity", flow, **_VARYING)
        file.create_group("t2_fields").attrs["field_names"] = np.array([], dtype="S1")


def create_trajectories(
    path: Path,
    fields: Sequence[str],
    layout: Layout,
    *,
    count: int,
    dataset_name: str,
    scalars: Mapping[str, NDArray[np.float64]],
) -> h5py.File:
    """Create a file of scalar fields in `t0_fields` that are yet to be filled in, block by block.

    Args:
        path: Where to; an existing file is overwritten.
        fields: Names; each becomes a dataset (n, T, H, W) that is zero at first.
        layout: Of the trajectories; an extent or interval that no one knows becomes 1.
        count: n.
        dataset_name: As The Well's loader reports it.
        scalars: Physics by name, a value for each trajectory (n,).

    Returns:
        The open file, to be closed by the caller.
    """
    file = h5py.File(path, "w")
    plain = {
        name: float(values[0]) if (values == values[0]).all() else np.asarray(values)
        for name, values in scalars.items()
    }
    _describe(file, dataset_name, count, layout, plain)
    rank0 = file.create_group("t0_fields")
    rank0.attrs["field_names"] = list(fields)
    for field in fields:
        rank0.create_dataset(field, (count, layout.num_frames, *layout.grid), np.float32)
        rank0[field].attrs.update(_VARYING)
    for rank in (1, 2):
        empty = file.create_group(f"t{rank}_fields")
        empty.attrs["field_names"] = np.array([], dtype="S1")
    return file


def _describe(
    file: h5py.File, name: str, count: int, layout: Layout, scalars: Mapping[str, Any]
) -> None:
    """Write everything but the fields."""
    file.attrs.update(
        dataset_name=name,
        grid_type="cartesian",
        n_spatial_dims=2,
        n_trajectories=count,
        simulation_parameters=list(scalars),
    )
    file.attrs.update({name: value for name, value in scalars.items() if np.ndim(value) == 0})

    dimensions = file.create_group("dimensions")
    dimensions.attrs["spatial_dims"] = ["x", "y"]
    T, axes = layout.num_frames, ("x", "y")
    time = np.arange(T, dtype=np.float32) * np.float32(layout.frame_interval or 1.0)
    _write(dimensions, "time", time, sample_varying=False, time_varying=True)
    extent = layout.extent or layout.grid
    for axis, N, length in zip(axes, layout.grid, extent, strict=True):
        grid = np.arange(N, dtype=np.float32) * np.float32(length / N)
        _write(dimensions, axis, grid, sample_varying=False, time_varying=False)

    conditions = file.create_group("boundary_conditions")
    for axis, N, kind in zip(axes, layout.grid, layout.boundary, strict=True):
        condition = conditions.create_group(f"{axis}_{kind}")
        condition.attrs.update(
            associated_dims=[axis],
            associated_fields=[],
            bc_type=kind.upper(),
            sample_varying=False,
            time_varying=False,
        )
        mask = np.zeros(N, dtype=bool)
        mask[[0, -1]] = True
        condition.create_dataset("mask", data=mask)

    group = file.create_group("scalars")
    group.attrs["field_names"] = list(scalars)
    for scalar, value in scalars.items():
        _write(
            group, scalar, np.float64(value), sample_varying=np.ndim(value) > 0, time_varying=False
        )


def _write(group: h5py.Group, name: str, data: Any, **attributes: Any) -> None:
    group.create_dataset(name, data=data).attrs.update(attributes)


class WellRecording(HDF5Recording):
    """One file in The Well's layout, which need not be written again."""


def open_well(path: Path) -> WellRecording:
    """Say what a file holds: every field that varies over trajectories and time.

    A component of a vector is a channel: `velocity_x` is the first of `t1_fields/velocity`.

    Raises:
        InputError: If the file is cut off or of another layout, or its fields do not fit each
            other.
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
        places: dict[str, Place] = {}
        shape: tuple[int, ...] | None = None
        first = ""
        for rank in range(3):
            for name in file.get(f"t{rank}_fields", ()):
                where = f"t{rank}_fields/{name}"
                dataset = hdf5_dataset(file, path, where)
                varies = [bool(dataset.attrs.get(f"{a}_varying", True)) for a in ("sample", "time")]
                if not all(varies):
                    continue
                axis_names = ("trajectories", "frames", "x", "y", *["component"] * rank)
                require_rank(path, where, dataset.shape, axis_names)
                if shape not in (None, dataset.shape[:4]):
                    raise InputError(
                        f"{path}: {where} has shape {dataset.shape}, expected {shape} as {first}"
                    )
                shape, first = dataset.shape[:4], where
                for component in product(range(2), repeat=rank):
                    suffix = "".join(axes[i] for i in component)
                    places[f"{name}_{suffix}" if rank else name] = (where, component)
        if shape is None:
            raise InputError(f"{path} has no field that varies in time, expected one to forecast")
        n, T, H, W = shape
        layout = Layout(
            "well",
            (H, W),
            T,
            _boundary(file, axes),
            _extent(file, path, axes, (H, W)),
            _interval(file, path),
        )
        scalars = _scalars(file, path, n)
    parent = path.parent.name
    split = parent if parent in ("train", "valid", "test") else None
    return WellRecording(path, n, layout, tuple(places), scalars, split, places)


def _text(value: Any) -> list[str]:
    items = [] if value is None else np.atleast_1d(value).tolist()
    return [item.decode() if isinstance(item, bytes) else str(item) for item in items]


def _boundary(file: h5py.File, axes: Sequence[str]) -> tuple[str, ...]:
    periodic: set[str] = set()
    conditions = file.get("boundary_conditions", {})
    for name in conditions:
        attributes = conditions[name].attrs
        if "PERIODIC" in [kind.upper() for kind in _text(attributes.get("bc_type"))]:
            periodic |= set(_text(attributes.get("associated_dims")))
    return tuple("periodic" if axis in periodic else "open" for axis in axes)


def _extent(
    file: h5py.File, path: Path, axes: Sequence[str], grid: Sequence[int]
) -> tuple[float, ...] | None:
    lengths = []
    for axis, N in zip(axes, grid, strict=True):
        if f"dimensions/{axis}" not in file:
            return None
        points = hdf5_dataset(file, path, f"dimensions/{axis}")[...]
        spacing = uniform_spacing(points.reshape(-1, points.shape[-1])[0]) if points.ndim else None
        if spacing is None or points.shape[-1] != N:
            return None
        lengths.append(spacing * N)
    return tuple(lengths)


def _interval(file: h5py.File, path: Path) -> float | None:
    if "dimensions/time" not in file:
        return None
    time = hdf5_dataset(file, path, "dimensions/time")[...]
    return uniform_spacing(time.reshape(-1, time.shape[-1])[0]) if time.ndim else None


def _scalars(file: h5py.File, path: Path, count: int) -> dict[str, NDArray[np.float64]]:
    """Return the scalars that are constant in time: (n,), one value for all or one for each."""
    found = {}
    for name in file.get("scalars", ()):
        dataset = hdf5_dataset(file, path, f"scalars/{name}")
        if dataset.size in (1, count) and not dataset.attrs.get("time_varying", False):
            values = np.asarray(read_hdf5(dataset, path, ()), dtype=np.float64).reshape(-1)
            found[name] = np.broadcast_to(values, (count,))
    return found


def statistics(vorticity: Array, domain_extent: float) -> dict[str, dict[str, Any]]:
    """Return the normalisation that The Well's loader expects in stats.yaml, of the solver's flow.

    Args:
        vorticity: The train split (n, T, N, N).
        domain_extent: Side of the periodic box.

    Returns:
        `mean`, `std`, `rms` of each field and of its change from frame to frame (`_delta`); a list
        of two for velocity.
    """
    field = torch.from_numpy(vorticity).double()
    flow = velocity(field, domain_extent)
    result: dict[str, dict[str, Any]] = {}
    for name, values in (("vorticity", field[..., None]), ("velocity", flow)):
        for suffix, sample in (("", values), ("_delta", values[:, 1:] - values[:, :-1])):
            flat = sample.flatten(0, -2)  # (samples, components)
            moments = {
                "mean": flat.mean(dim=0),
                "std": flat.std(dim=0),
                "rms": flat.square().mean(dim=0).sqrt(),
            }
            for moment, value in moments.items():
                plain = value.tolist() if name == "velocity" else value.item()
                result.setdefault(moment + suffix, {})[name] = plain
    return result


def channel_moments(stats: Mapping[str, Any], channels: Sequence[str]) -> dict[str, list[float]]:
    """Return `mean` and `std` of every channel from what stats.yaml holds.

    Raises:
        InputError: If it lacks one.
    """
    return {m: [_moment(stats, m, channel) for channel in channels] for m in ("mean", "std")}


def _moment(stats: Mapping[str, Any], moment: str, channel: str) -> float:
    values = stats[moment]
    if channel in values:
        return float(values[channel])
    vector, _, axis = channel.rpartition("_")
    if vector in values and axis in ("x", "y"):
        return float(values[vector]["xy".index(axis)])
    raise InputError(f"stats.yaml has no {moment} of {channel!r}, expected one of {list(values)}")
