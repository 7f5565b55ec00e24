"""Trajectories written in The Well's HDF5 layout, see chimera.data.layout.well.

Fields are float32 and contiguous; equal content gives equal bytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from chimera.data.layout.recordings import Array, Layout
from chimera.data.sources.threads import TRANSFORM, on_threads
from chimera.fields.fourier import velocity
from chimera.files.streams import Stream

_VARYING = {"sample_varying": True, "time_varying": True, "dim_varying": [True, True]}
_SHARED = {"sample_varying": False, "time_varying": False}


def write_trajectories(
    path: Path,
    vorticity: Array,
    forcing: Array,
    layout: Layout,
    dataset_name: str,
    scalars: Mapping[str, NDArray[np.float64]],
) -> None:
    """Write vorticity (n, T, N, N), its velocity, the forcing curl F (n, N, N) and scalars (n,)."""
    box, _ = layout.extent or layout.grid
    # In memory: the HDF5 library does not survive a full disk.
    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        _describe(file, dataset_name, len(vorticity), layout, scalars)
        rank0 = _field_group(file, 0, ["vorticity", "forcing"])
        _write(rank0, "vorticity", vorticity, **_VARYING)
        _write(rank0, "forcing", forcing, **_VARYING | {"time_varying": False})
        with on_threads(TRANSFORM):
            flow = velocity(torch.from_numpy(vorticity).double(), box).float()
        _write(_field_group(file, 1, ["velocity"]), "velocity", flow.numpy(), **_VARYING)
        _field_group(file, 2, [])
        file.flush()
        path.write_bytes(file.id.get_file_image())


@contextmanager
def create_trajectories(
    path: Path,
    fields: Sequence[str],
    layout: Layout,
    *,
    count: int,
    dataset_name: str,
    scalars: Mapping[str, NDArray[np.float64]],
) -> Iterator[h5py.File]:
    """Yield a new open file of scalar fields in `t0_fields`, to be filled in block by block.

    Each field is (count, T, H, W) of zeros; an unknown side or interval becomes 1 a point or frame.
    """
    plain = {
        name: float(values[0]) if (values == values[0]).all() else np.asarray(values)
        for name, values in scalars.items()
    }
    with closing(Stream(path)) as stream, h5py.File(stream, "w") as file:
        _describe(file, dataset_name, count, layout, plain)
        rank0 = _field_group(file, 0, fields)
        for field in fields:
            rank0.create_dataset(field, (count, layout.num_frames, *layout.grid), np.float32)
            rank0[field].attrs.update(_VARYING)
        _field_group(file, 1, [])
        _field_group(file, 2, [])
        yield file


def _field_group(file: h5py.File, rank: int, names: Sequence[str]) -> h5py.Group:
    group = file.create_group(f"t{rank}_fields")
    group.attrs["field_names"] = list(names) or np.array([], dtype="S1")
    return group


def _describe(
    file: h5py.File, name: str, count: int, layout: Layout, scalars: Mapping[str, Any]
) -> None:
    """Write everything but the fields."""
    about = {"dataset_name": name, "grid_type": "cartesian", "n_spatial_dims": 2}
    file.attrs.update(about, n_trajectories=count, simulation_parameters=list(scalars))
    file.attrs.update({name: value for name, value in scalars.items() if np.ndim(value) == 0})

    dimensions = file.create_group("dimensions")
    dimensions.attrs["spatial_dims"] = ["x", "y"]
    frames = np.arange(layout.num_frames, dtype=np.float32)
    time = frames * np.float32(layout.frame_interval or 1.0)
    _write(dimensions, "time", time, sample_varying=False, time_varying=True)
    for axis, N, length in zip("xy", layout.grid, layout.extent or layout.grid, strict=True):
        grid = np.arange(N, dtype=np.float32) * np.float32(length / N)
        _write(dimensions, axis, grid, **_SHARED)

    conditions = file.create_group("boundary_conditions")
    for axis, N, kind in zip("xy", layout.grid, layout.boundary, strict=True):
        condition = conditions.create_group(f"{axis}_{kind}")
        named = {"associated_dims": [axis], "associated_fields": [], "bc_type": kind.upper()}
        condition.attrs.update(named | _SHARED)
        mask = np.zeros(N, dtype=bool)
        mask[[0, -1]] = True
        condition.create_dataset("mask", data=mask)

    group = file.create_group("scalars")
    group.attrs["field_names"] = list(scalars)
    for scalar, value in scalars.items():
        varies = np.ndim(value) > 0
        _write(group, scalar, np.float64(value), sample_varying=varies, time_varying=False)


def _write(group: h5py.Group, name: str, data: Any, **attributes: Any) -> None:
    group.create_dataset(name, data=data).attrs.update(attributes)


def statistics(vorticity: Array, forcing: Array, domain_extent: float) -> dict[str, dict[str, Any]]:
    """Return the content of stats.yaml as The Well's loader expects it, of the solver's flow.

    These are `mean`, `std` and `rms` of the vorticity (n, T, N, N), its velocity, the changes of
    both from frame to frame (`_delta`), and the constant curl F (n, N, N).
    """
    field = torch.from_numpy(vorticity).double()
    flow = velocity(field, domain_extent)
    samples = {
        ("", "vorticity"): field[..., None],
        ("", "velocity"): flow,
        ("", "forcing"): torch.from_numpy(forcing).double()[..., None],
        ("_delta", "vorticity"): (field[:, 1:] - field[:, :-1])[..., None],
        ("_delta", "velocity"): flow[:, 1:] - flow[:, :-1],
    }
    result: dict[str, dict[str, Any]] = {}
    for (suffix, name), sample in samples.items():
        flat = sample.flatten(0, -2)  # (samples, components)
        for moment, value in (
            ("mean", flat.mean(dim=0)),
            ("std", flat.std(dim=0)),
            ("rms", flat.square().mean(dim=0).sqrt()),
        ):
            plain = value.tolist() if len(value) > 1 else value.item()
            result.setdefault(moment + suffix, {})[name] = plain
    return result
