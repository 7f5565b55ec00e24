"""PDEBench's HDF5 layouts (Takamoto et al. 2022), and PDEArena's.

2D_CFD, compressible: root datasets `Vx`, `Vy`, `density`, `pressure` (n, T, x, y), the coordinates
of the cell centres in `x-coordinate` and `y-coordinate`, `t-coordinate` with one entry more than
there are frames, and the physical parameters in root attributes (`eta`, `zeta`, `M`).

NS_incom, incompressible: `velocity` (n, T, x, y, 2), `particles` (n, T, x, y, 1), `t` (n, T), the
settings as YAML in the root attribute `config`, and `latestIndex`, the last frame that was written.

PDEArena (Gupta & Brandstetter 2023): one group `train`, `valid` or `test` with `u` (a scalar), `vx`
and `vy` (n, T, x, y), the coordinates `t`, `x`, `y` and numbers a trajectory such as `buo_y`.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml
from numpy.typing import NDArray

from chimera.data.layout import hdf5
from chimera.data.layout.hdf5 import HDF5Recording, Place, open_hdf5
from chimera.data.layout.recordings import Layout
from chimera.data.settings import SPLITS
from chimera.interface.errors import InputError, listed

_CFD = {"velocity_x": "Vx", "velocity_y": "Vy", "density": "density", "pressure": "pressure"}
_ARENA = {"velocity_x": "vx", "velocity_y": "vy", "u": "u"}


def open_pdebench(path: Path) -> HDF5Recording:
    """Describe a file of either of PDEBench's layouts."""
    with open_hdf5(path) as file:
        if "velocity" in file:
            return _incompressible(file)
        places: dict[str, Place] = {f: (name, ()) for f, name in _CFD.items() if name in file}
        if not places:
            raise InputError(
                f"{path} has the datasets {listed(file)}, expected PDEBench's: Vx, Vy, density, "
                "pressure (2D_CFD) or velocity (2D incompressible)"
            )
        coordinates = [f"{axis}-coordinate" for axis in "txy"]
        found = hdf5.recorded(file, "pdebench", places, coordinates, ("periodic", "periodic"))
        return replace(found, scalars=_scalars(file.attrs, found.count))


def open_pdearena(path: Path) -> HDF5Recording:
    """Describe a file in PDEArena's layout."""
    with open_hdf5(path) as file:
        groups = [split for split in SPLITS if isinstance(file.get(split), h5py.Group)]
        if len(groups) != 1:
            raise InputError(f"{path} has {listed(file)}, expected one of {', '.join(SPLITS)}")
        (split,) = groups
        paths = {field: f"{split}/{name}" for field, name in _ARENA.items()}
        places: dict[str, Place] = {f: (where, ()) for f, where in paths.items() if where in file}
        coordinates = [f"{split}/{axis}" for axis in "txy"]
        found = hdf5.recorded(file, "pdearena", places, coordinates, ("open", "open"))
        scalars, _ = hdf5.numbers(file, split, found.count)  # others: coordinates and fields
    return replace(found, scalars=scalars, split=split)


def _incompressible(file: h5py.File) -> HDF5Recording:
    path = Path(file.filename)
    wanted: dict[str, Place] = {"velocity_x": ("velocity", (0,)), "velocity_y": ("velocity", (1,))}
    wanted |= {name: (name, (0,)) for name in ("particles", "pressure") if name in file}
    places, aside, (n, stored, H, W) = hdf5.alike(file, wanted)
    # A simulation that was stopped has zeros in the frames after its latest.
    T = min(int(file.attrs.get("latestIndex", stored - 1)) + 1, stored)
    if stored > T:
        aside["frames"] = f"{path}: latestIndex is {T - 1}, expected {stored - 1}, its last frame"
    settings = _settings(file.attrs.get("config", ""))
    periodic = str(settings.get("velocity_extrapolation", "")).lower() == "periodic"
    sides = settings.get("domain_size")
    if not isinstance(sides, list):
        sides = [settings.get(key) for key in ("extent_x", "extent_y")]
    extent = tuple(float(side) for side in sides if _is_number(side))
    known = extent if len(extent) == 2 and all(extent) else None
    boundary = ("periodic" if periodic else "open",) * 2
    layout = Layout("pdebench", (H, W), T, boundary, known, hdf5.frame_interval(file, "t", T))
    scalars = _scalars(settings, n)
    return HDF5Recording(path, n, layout, tuple(places), scalars, places=places, aside=aside)


def _scalars(values: Mapping[str, Any], count: int) -> dict[str, NDArray[np.float64]]:
    return {k: np.full(count, float(v)) for k, v in values.items() if _is_number(v)}


def _settings(config: Any) -> dict[str, Any]:
    """Return the settings, their names in lower case; none if it is no mapping in YAML."""
    try:
        return {str(name).lower(): value for name, value in yaml.safe_load(config).items()}
    except (yaml.YAMLError, AttributeError):
        return {}


def _is_number(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and math.isfinite(float(value))
    except (TypeError, ValueError):
        return False
