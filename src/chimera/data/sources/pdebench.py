"""PDEBench's HDF5 layouts (Takamoto et al. 2022), read and written.

2D_CFD, compressible: root datasets `Vx`, `Vy`, `density`, `pressure` (n, T, x, y), the coordinates
of the cell centres in `x-coordinate` and `y-coordinate`, `t-coordinate` with one entry more than
there are frames, and the physics in root attributes (`eta`, `zeta`, `M`).

NS_incom, incompressible: `velocity` (n, T, x, y, 2), `particles` (n, T, x, y, 1), `t` (n, T), and
the settings as YAML in the root attribute `config`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from chimera.data.layout.hdf5 import HDF5Recording, Place, hdf5_dataset, open_hdf5, uniform_spacing
from chimera.data.layout.recordings import Array, Layout, require_rank
from chimera.interface.errors import InputError

_COMPRESSIBLE = {
    "velocity_x": "Vx",
    "velocity_y": "Vy",
    "density": "density",
    "pressure": "pressure",
}
_AXES = ("sample", "time", "x", "y")
_SETTING = re.compile(r"^\s*(\w+):\s*(\S+)\s*$", flags=re.MULTILINE)


def open_pdebench(path: Path) -> HDF5Recording:
    """Say what a file of either layout holds.

    Raises:
        InputError: If it is cut off, of neither layout, or its datasets do not fit each other.
    """
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
    present = {field: name for field, name in _COMPRESSIBLE.items() if name in file}
    shape: tuple[int, ...] | None = None
    for name in present.values():
        dataset = hdf5_dataset(file, path, name)
        require_rank(path, name, dataset.shape, _AXES)
        if shape not in (None, dataset.shape):
            raise InputError(
                f"{path}: {name} has shape {dataset.shape}, expected {shape} as its other datasets"
            )
        shape = dataset.shape
    assert shape is not None  # noqa: S101 (one of the names is there)
    n, T, H, W = shape
    spacings = [_coordinates(file, path, f"{axis}-coordinate") for axis in ("x", "y")]
    extent = _extent(spacings, (H, W))
    layout = Layout(
        "pdebench",
        (H, W),
        T,
        ("periodic", "periodic"),
        extent,
        _coordinates(file, path, "t-coordinate"),
    )
    scalars = {
        name: np.full(n, float(value))
        for name, value in file.attrs.items()
        if np.ndim(value) == 0 and isinstance(value, int | float | np.number)
    }
    places = {field: (name, ()) for field, name in present.items()}
    return HDF5Recording(path, n, layout, tuple(present), scalars, None, places)


def _incompressible(path: Path, file: h5py.File) -> HDF5Recording:
    dataset = hdf5_dataset(file, path, "velocity")
    require_rank(path, "velocity", dataset.shape, (*_AXES, "component"))
    n, T, H, W, components = dataset.shape
    if components != 2:
        raise InputError(
            f"{path}: velocity has shape {dataset.shape}, expected 2 components, x and y"
        )
    places: dict[str, Place] = {
        "velocity_x": ("velocity", (0,)),
        "velocity_y": ("velocity", (1,)),
    }
    for name in ("particles", "pressure"):
        if name in file:
            other = hdf5_dataset(file, path, name)
            require_rank(path, name, other.shape, (*_AXES, "component"))
            if other.shape[:4] != dataset.shape[:4]:
                raise InputError(
                    f"{path}: {name} has shape {other.shape}, expected "
                    f"{(*dataset.shape[:4], 1)} as velocity has"
                )
            places[name] = (name, (0,))
    config = file.attrs.get("config", "")
    settings = dict(_SETTING.findall(config if isinstance(config, str) else ""))
    settings = {name.lower(): value for name, value in settings.items()}
    kind = (
        "periodic" if settings.get("velocity_extrapolation", "").lower() == "periodic" else "open"
    )
    spacings = [
        float(settings[key]) / N if _is_number(settings.get(key)) else None
        for key, N in (("extent_x", H), ("extent_y", W))
    ]
    times = hdf5_dataset(file, path, "t")[0] if "t" in file else np.zeros(1)
    layout = Layout(
        "pdebench", (H, W), T, (kind, kind), _extent(spacings, (H, W)), uniform_spacing(times)
    )
    scalars = {
        name: np.full(n, float(value)) for name, value in settings.items() if _is_number(value)
    }
    return HDF5Recording(path, n, layout, tuple(places), scalars, None, places)


def _is_number(text: str | None) -> bool:
    try:
        float(text or "")
    except ValueError:
        return False
    return True


def _coordinates(file: h5py.File, path: Path, name: str) -> float | None:
    return (
        uniform_spacing(hdf5_dataset(file, path, name)[...].reshape(-1)) if name in file else None
    )


def _extent(spacings: Sequence[float | None], grid: Sequence[int]) -> tuple[float, ...] | None:
    lengths = [s * N for s, N in zip(spacings, grid, strict=True) if s is not None]
    return tuple(lengths) if len(lengths) == 2 else None


def write_incompressible(
    path: Path,
    blocks: Iterator[tuple[int, int, Array]],
    shape: Sequence[int],
    *,
    layout: Layout,
    settings: Mapping[str, float],
) -> None:
    """Write flow in the 2D incompressible layout: channels last, a chunk for each frame.

    Args:
        path: Where to; an existing file is overwritten.
        blocks: Trajectory, first frame and velocity (t, 2, H, W), as Recording.blocks gives them.
        shape: n, T, H, W.
        layout: Of the trajectories.
        settings: Physics by name, into the attribute `config`.
    """
    n, T, H, W = shape
    closed = layout.boundary == ("periodic", "periodic")
    config = {"velocity_extrapolation": "periodic" if closed else "zero"}
    for axis, length in zip("xy", layout.extent or (), strict=False):
        config[f"extent_{axis}"] = repr(float(length))
    config |= {name: repr(float(value)) for name, value in settings.items()}
    with h5py.File(path, "w") as file:
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
