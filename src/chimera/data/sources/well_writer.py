"""Trajectories written in The Well's HDF5 layout (Ohana et al. 2024, appendix C).

One file holds n trajectories: fields (n, T, x, y) in `t0_fields`, vectors (n, T, x, y, 2) in
`t1_fields`, the grid in `dimensions`, the physics in `scalars` and what holds at the edges in
`boundary_conditions`. What is written is float32 and contiguous; equal content gives equal bytes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from chimera.data.layout.recordings import Array, Layout
from chimera.fields.fourier import velocity

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
