"""Datasets exported to other layouts."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from chimera.data.layout.recordings import Array, block_frames
from chimera.data.layout.splits import Split
from chimera.data.sources.pdebench import write_incompressible


def export_pdebench(folder: Path, path: Path) -> None:
    """Write the velocity of a split, data/<dataset>/data/<split>, in the incompressible layout."""
    split = Split(folder, ("velocity_x", "velocity_y"))
    n, T, _, H, W = split.shape
    size = block_frames(split.layout, 2)

    def blocks() -> Iterator[tuple[int, int, Array]]:
        for trajectory in range(n):
            for start in range(0, T, size):
                block = np.empty((1, min(size, T - start), 2, H, W), dtype=np.float32)
                split.windows([trajectory], [start], block)
                yield trajectory, start, block[0]

    constant = {name: float(v[0]) for name, v in split.scalars.items() if (v == v[0]).all()}
    write_incompressible(path, blocks(), n, layout=split.layout, settings=constant)
