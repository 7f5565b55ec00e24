"""Files of the Fourier neural operator's authors (Li et al. 2021): MATLAB's v7.3, which is HDF5.

MATLAB stores the axes in reverse: the vorticity `u` (N, x, y, T) is a dataset (T, y, x, N). The box
is the periodic unit square, `t` the times of the frames, and `a` (N, x, y), the field at time 0, is
no frame of `u`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from chimera.data.layout.hdf5 import frame_interval, hdf5_dataset, open_hdf5, read_hdf5
from chimera.data.layout.recordings import Array, Layout, Recording, read_blocks, require_shape
from chimera.interface.errors import InputError, listed


class MatRecording(Recording):
    """Trajectories of one file."""

    def blocks(
        self, trajectories: Sequence[int], fields: Sequence[str]
    ) -> Iterator[tuple[int, int, Array]]:
        """Read blocks, see Recording."""
        del fields  # there is one
        with open_hdf5(self.path) as file:
            dataset = hdf5_dataset(file, self.path, "u")

            def read(trajectory: int, start: int, block: Array) -> None:
                first = self.first_frame + start
                part = (slice(first, first + len(block)), ..., trajectory)
                block[:, 0] = read_hdf5(dataset, self.path, part).swapaxes(1, 2)  # from (t, y, x)

            yield from read_blocks(self.layout, trajectories, 1, read)


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
    return MatRecording(path, n, layout, ("vorticity",), {}, aside=aside)
