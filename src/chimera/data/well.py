"""Trajectories in The Well's HDF5 layout (Ohana et al. 2024, appendix C).

One file holds n trajectories of one regime: `t0_fields/vorticity` (n, T, x, y) and
`t1_fields/velocity` (n, T, x, y, 2), float32 and contiguous, with the grid in `dimensions`, the
physics in `scalars` and periodic `boundary_conditions`. Equal content gives equal bytes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from chimera.errors import InputError
from chimera.fourier import velocity

Array = NDArray[np.float32]


def write_trajectories(
    path: Path,
    vorticity: Array,
    *,
    dataset_name: str,
    domain_extent: float,
    frame_interval: float,
    scalars: Mapping[str, float],
) -> None:
    """Write one file; the velocity is computed from the vorticity.

    Args:
        path: Where to; an existing file is overwritten.
        vorticity: (n, T, N, N), x before y.
        dataset_name: As The Well's loader reports it.
        domain_extent: Side of the periodic box.
        frame_interval: Time between two frames.
        scalars: Physics by name, such as viscosity.
    """
    n, T, N, _ = vorticity.shape
    grid = np.arange(N, dtype=np.float32) * np.float32(domain_extent / N)
    with h5py.File(path, "w") as file:
        file.attrs.update(
            dataset_name=dataset_name,
            grid_type="cartesian",
            n_spatial_dims=2,
            n_trajectories=n,
            simulation_parameters=list(scalars),
        )
        file.attrs.update(scalars)

        dimensions = file.create_group("dimensions")
        dimensions.attrs["spatial_dims"] = ["x", "y"]
        time = np.arange(T, dtype=np.float32) * np.float32(frame_interval)
        _write(dimensions, "time", time, sample_varying=False, time_varying=True)
        for axis in ("x", "y"):
            _write(dimensions, axis, grid, sample_varying=False, time_varying=False)

        conditions = file.create_group("boundary_conditions")
        for axis in ("x", "y"):
            condition = conditions.create_group(f"{axis}_periodic")
            condition.attrs.update(
                associated_dims=[axis],
                associated_fields=[],
                bc_type="PERIODIC",
                sample_varying=False,
                time_varying=False,
            )
            mask = np.zeros(N, dtype=bool)
            mask[[0, -1]] = True
            condition.create_dataset("mask", data=mask)

        group = file.create_group("scalars")
        group.attrs["field_names"] = list(scalars)
        for name, value in scalars.items():
            _write(group, name, np.float64(value), sample_varying=False, time_varying=False)

        varying = {"sample_varying": True, "time_varying": True, "dim_varying": [True, True]}
        rank0 = file.create_group("t0_fields")
        rank0.attrs["field_names"] = ["vorticity"]
        _write(rank0, "vorticity", vorticity, **varying)
        rank1 = file.create_group("t1_fields")
        rank1.attrs["field_names"] = ["velocity"]
        flow = velocity(torch.from_numpy(vorticity).double(), domain_extent).float().numpy()
        _write(rank1, "velocity", flow, **varying)
        file.create_group("t2_fields").attrs["field_names"] = np.array([], dtype="S1")


def _write(group: h5py.Group, name: str, data: Any, **attributes: Any) -> None:
    group.create_dataset(name, data=data).attrs.update(attributes)


def read_trajectories(folder: Path, field: str = "vorticity") -> tuple[Array, dict[str, float]]:
    """Read all trajectories of a split into memory.

    Args:
        folder: Holds one or more *.hdf5, read in the order of their names.
        field: A name in `t0_fields`.

    Returns:
        The field (n, T, x, y), and the scalars, which must be the same in every file.

    Raises:
        InputError: If the folder or a file is missing, cut off, of another layout, or not finite.
    """
    paths = sorted(folder.glob("*.hdf5"))
    if not paths:
        raise InputError(
            f"{folder} holds no *.hdf5, expected the files of a split: run `make repro`"
        )
    parts, scalars = [], None
    for path in paths:
        try:
            with h5py.File(path) as file:
                parts.append(file["t0_fields"][field][...].astype(np.float32))
                values = {name: float(item[()]) for name, item in file["scalars"].items()}
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path} has no t0_fields/{field} or scalars ({error.args[0]}), "
                "expected The Well's layout"
            ) from None
        except OSError as error:
            raise InputError(f"cannot read {path}: {error}") from None
        if scalars not in (None, values):
            raise InputError(f"{path} has scalars {values}, expected {scalars} as in {paths[0]}")
        if parts[-1].ndim != 4:
            raise InputError(
                f"{path} has {field} of shape {parts[-1].shape}, expected four axes (trajectories, "
                "frames, x, y)"
            )
        if parts[-1].shape[1:] != parts[0].shape[1:]:
            raise InputError(
                f"{path} has {field} of shape {parts[-1].shape}, expected (trajectories, "
                f"{', '.join(map(str, parts[0].shape[1:]))}) as in {paths[0]}"
            )
        scalars = values
        if not np.isfinite(parts[-1]).all():
            first = np.argwhere(~np.isfinite(parts[-1]))[0]
            raise InputError(
                f"{path} has a value of {field} that is not finite in trajectory {first[0]}, frame "
                f"{first[1]}, expected finite numbers"
            )
    return np.concatenate(parts), scalars or {}


def statistics(vorticity: Array, domain_extent: float) -> dict[str, dict[str, Any]]:
    """Return the normalisation that The Well's loader expects in stats.yaml.

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
