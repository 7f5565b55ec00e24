"""Files of the Fourier neural operator's authors (Li et al. 2021): MATLAB's v7.3, which is HDF5.

MATLAB stores the axes in reverse: the vorticity `u` (N, x, y, T) is a dataset (T, y, x, N). The box
is the periodic unit square, `t` the times of the frames, and `a` (N, x, y), the field at time 0, is
no frame of `u`.
"""

from pathlib import Path

from chimera.data.layout.hdf5 import HDF5Recording, Place, frame_interval, hdf5_dataset, open_hdf5
from chimera.data.layout.recordings import Layout, require_shape
from chimera.interface.errors import InputError, listed


def open_fno(path: Path) -> HDF5Recording:
    """Describe a file."""
    with open_hdf5(path) as file:
        if "u" not in file:
            raise InputError(f"{path} has {listed(file)}, expected u (T, y, x, N) and t")
        shape = hdf5_dataset(file, "u").shape
        require_shape(path, "u", shape[::-1], ("trajectories", "x", "y", "frames"))
        T, W, H, n = shape
        interval = frame_interval(file, "t", T)
    aside = {"a": f"{path}: a is the field at time 0, expected a field of every frame: u"}
    layout = Layout("fno", (H, W), T, extent=(1.0, 1.0), frame_interval=interval)
    places: dict[str, Place] = {"vorticity": ("u", ())}
    fields = tuple(places)
    return HDF5Recording(path, n, layout, fields, {}, places=places, reverse=True, aside=aside)
