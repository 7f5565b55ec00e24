"""PDEBench's HDF5 layouts (Takamoto et al. 2022), read and written.

2D_CFD, compressible: root datasets `Vx`, `Vy`, `density`, `pressure` (n, T, x, y), the coordinates
of the cell centres in `x-coordinate` and `y-coordinate`, `t-coordinate` with one entry more than
there are frames, and the physical parameters in root attributes (`eta`, `zeta`, `M`).

NS_incom, incompressible: `velocity` (n, T, x, y, 2), `particles` (n, T, x, y, 1), `t` (n, T), and
the settings as YAML in the root attribute `config`.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import h5py
import numpy as np

from chimera.data.layout.hdf5 import (
    HDF5Recording,
    Place,
    box_lengths,
    coordinate_spacing,
    hdf5_dataset,
    open_hdf5,
)
from chimera.data.layout.recordings import Array, Layout, require_shape
from chimera.files.streams import Stream
from chimera.interface.errors import InputError

_COMPRESSIBLE = {
    "velocity_x": "Vx",
    "velocity_y": "Vy",
    "density": "density",
    "pressure": "pressure",
}
_AXES = ("sample", "time", "x", "y")
_EXTENT = ("extent_x", "extent_y")
_SETTING = re.compile(r"^\s*(\w+):\s*(\S+)\s*$", flags=re.MULTILINE)


def open_pdebench(path: Path) -> HDF5Recording:
    """Describe a file of either layout."""
    with open_hdf5(path) as file:
        if "velocity" in file:
            return _incompressible(path, file)
        if any(name in file for name in _COMPRESSIBLE.values()):
            return _compressible(path, file)
        raise InputError(
            f"{path} has the datasets {', '.join(file) or 'none'}, expected PDEBench's: Vx, Vy, "
            "density, pressure (2D_CFD) or velocity (2D incompressible)"
        )


def _compressible(path: Path, file: h5py.File) -> HDF5Recording:
    places: dict[str, Place] = {f: (name, ()) for f, name in _COMPRESSIBLE.items() if name in file}
    shapes = {name: hdf5_dataset(file, path, name).shape for name, _ in places.values()}
    shape = next(iter(shapes.values()))
    for name, other in shapes.items():
        require_shape(path, name, other, _AXES)
        if other != shape:
            raise InputError(
                f"{path}: {name} has shape {other}, expected {shape} as its other datasets"
            )
    n, T, H, W = shape
    x, y, t = (coordinate_spacing(file, path, f"{axis}-coordinate") for axis in "xyt")
    layout = Layout("pdebench", (H, W), T, extent=box_lengths((x, y), (H, W)), frame_interval=t)
    scalars = {
        name: np.full(n, float(value))
        for name, value in file.attrs.items()
        if np.ndim(value) == 0 and isinstance(value, int | float | np.number)
    }
    return HDF5Recording(path, n, layout, tuple(places), scalars, None, places)


def _incompressible(path: Path, file: h5py.File) -> HDF5Recording:
    shape = hdf5_dataset(file, path, "velocity").shape
    require_shape(path, "velocity", shape, (*_AXES, "component"))
    n, T, H, W, components = shape
    if components != 2:
        raise InputError(f"{path}: velocity has shape {shape}, expected 2 components, x and y")
    places: dict[str, Place] = {"velocity_x": ("velocity", (0,)), "velocity_y": ("velocity", (1,))}
    for name in ("particles", "pressure"):
        if name in file:
            other = hdf5_dataset(file, path, name).shape
            require_shape(path, name, other, (*_AXES, "component"))
            if other[:4] != shape[:4]:
                raise InputError(
                    f"{path}: {name} has shape {other}, expected {(*shape[:4], 1)} as velocity has"
                )
            places[name] = (name, (0,))
    config = file.attrs.get("config", "")
    found = _SETTING.findall(config if isinstance(config, str) else "")
    settings = {name.lower(): value for name, value in found}
    periodic = settings.get("velocity_extrapolation", "").lower() == "periodic"
    numbers = {name: float(value) for name, value in settings.items() if _is_number(value)}
    spacings = [
        numbers[k] / N if k in numbers else None for k, N in zip(_EXTENT, (H, W), strict=True)
    ]
    layout = Layout(
        "pdebench",
        (H, W),
        T,
        ("periodic" if periodic else "open",) * 2,
        box_lengths(spacings, (H, W)),
        coordinate_spacing(file, path, "t"),
    )
    scalars = {name: np.full(n, value) for name, value in numbers.items()}
    return HDF5Recording(path, n, layout, tuple(places), scalars, None, places)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


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
    with closing(Stream(path)) as stream, h5py.File(stream, "w") as file:
        file.attrs["config"] = "".join(f"{name}: {value}\n" for name, value in config.items())
        file.attrs["latestIndex"] = n - 1
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
