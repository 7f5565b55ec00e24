"""Datasets exported to other layouts."""

from contextlib import closing
from pathlib import Path

import h5py
import numpy as np

from chimera.data.layout.recordings import Array, read_blocks
from chimera.data.layout.splits import Split
from chimera.files.streams import Stream


def export_pdebench(folder: Path, path: Path) -> None:
    """Write the velocity of a split, data/<dataset>/data/<split>, in PDEBench's NS_incom layout.

    Its settings hold the parameters that all trajectories share; see chimera.data.sources.pdebench.
    """
    split = Split(folder, ("velocity_x", "velocity_y"))
    layout, (n, T, _, H, W) = split.layout, split.shape
    closed = layout.boundary == ("periodic", "periodic")
    config = {"velocity_extrapolation": "periodic" if closed else "zero"}
    shared = {name: float(v[0]) for name, v in split.scalars.items() if (v == v[0]).all()}
    sides = dict(zip(("extent_x", "extent_y"), map(float, layout.extent or ()), strict=False))
    config |= {name: repr(value) for name, value in (sides | shared).items()}

    def read(trajectory: int, start: int, block: Array) -> None:
        split.windows([trajectory], [start], block[None])

    with closing(Stream(path)) as stream, h5py.File(stream, "w") as file:
        file.attrs["config"] = "".join(f"{name}: {value}\n" for name, value in config.items())
        file.attrs["latestIndex"] = T - 1
        form = {"chunks": (1, 1, H, W, 2), "compression": "lzf", "shuffle": True}
        velocity = file.create_dataset("velocity", (n, T, H, W, 2), np.float32, **form)
        times = np.arange(T, dtype=np.float32) * np.float32(layout.frame_interval or 1.0)
        file["t"] = np.broadcast_to(times, (n, T))
        for trajectory, start, block in read_blocks(layout, range(n), 2, read):
            velocity[trajectory, start : start + len(block)] = np.moveaxis(block, 1, -1)
