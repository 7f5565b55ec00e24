"""Files of the Fourier neural operator's authors (Li et al. 2021): MATLAB's v7.3, which is HDF5.

MATLAB stores the axes in reverse: the vorticity `u` (N, x, y, T) is a dataset (T, y, x, N). The box
is the periodic unit square, `t` the times of the frames, and `a` (N, x, y), the field at time 0, is
no frame of `u`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from chimera.data.layout.hdf5 import frame_interval, hdf5_dataset, open_hdf5, read_hdf5
from chimera.data.layout.recordings import Array, Layout, Recording, block_frames, require_shape
from chimera.interface.errors import InputError, listed


class MatRecording(Recording):
    """Trajectories of one file."""

    def where(self, field: str) -> str:
        """Return the dataset of the vorticity."""
        return f"u ({field})"

    def blocks(
        self, trajectories: Sequence[int], fields: Sequence[str]
    ) -> Iterator[tuple[int, int, Array]]:
        """Read blocks, see Recording."""
        del fields  # there is one
        T, first = self.layout.num_frames, self.first_frame
        size = block_frames(self.layout, 1)
        with open_hdf5(self.path) as file:
            dataset = hdf5_dataset(file, self.path, "u")
            for trajectory in trajectories:
                for start in range(0, T, size):
                    part = slice(first + start, first + min(start + size, T))
                    frames = read_hdf5(dataset, self.path, (part, ..., trajectory))  # (t, y, x)
                    block = frames.swapaxes(1, 2)[:, None].astype(np.float32, order="C")
                    yield trajectory, start, block


def open_fno(path: Path) -> MatRecording:
    """Describe a file."""
    with open_hdf5(path) as file:
        if "u" not in file:
            raise InputError(f"{path} has {listed(file)}, expected u (T, y, x, N) and t")
        shape = hdf5_dataset(file, path, "u").shape
        require_shape(path, "u", shape[::-1], ("trajectories", "x", "y", "frames"))
        T, W, H, n = shape
        interval = frame_interval(file, path, "t", T)
    aside = {"a": f"{path}: a is the field at time 0, expected a field of every frame: u"}
    layout = Layout("fno", (H, W), T, extent=(1.0, 1.0), frame_interval=interval)
    return MatRecording(path, n, layout, ("vorticity",), {}, None, aside=aside)
