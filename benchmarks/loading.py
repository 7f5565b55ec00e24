"""Random pairs (frame, next frame) per core-second: ours, The Well's loader, h5py, and the limit.

    python benchmarks/loading.py [--trajectories 64] [--points 128]

One file in The Well's layout, 1 x N x N float32, warm in the page cache; batches of 16 pairs in
random order. Every way reads the same pairs; turns alternate and the best of each counts, in the
process' own CPU time, so that other programs disturb little.

    limit      frames in memory, numpy.take into a buffer that is allocated once
    memory     chimera, frames in memory (what fits into train.memory)
    streamed   chimera, frames in the file, read ahead by a thread (CPU time of both threads)
    h5py       a plain loop over an open file
    the_well   the_well.data.WellDataset, sample by sample
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from chimera.data.batches.prefetch import Prefetched
from chimera.data.batches.streaming import StreamedWindows, normalised
from chimera.data.batches.trajectories import Form, Order, Windows
from chimera.data.layout.recordings import Layout
from chimera.data.layout.splits import Split
from chimera.data.sources.well_writer import create_trajectories

BATCH, FRAMES, TURNS = 16, 21, 7
MOMENTS = {"mean": [0.0], "std": [1.0]}


def write(folder: Path, trajectories: int, points: int) -> None:
    """Write one train file of noise, which reads as fast as anything."""
    folder.mkdir(parents=True)
    kind = ("periodic", "periodic"), (1.0, 1.0)
    layout = Layout("well", (points, points), FRAMES, *kind, 1.0)
    generator = np.random.default_rng(0)
    with create_trajectories(
        folder / "noise.hdf5",
        ["vorticity"],
        layout,
        count=trajectories,
        dataset_name="noise",
        scalars={"viscosity": np.ones(trajectories)},
    ) as file:
        for i in range(trajectories):
            shape = (FRAMES, points, points)
            file["t0_fields/vorticity"][i] = generator.standard_normal(shape, dtype=np.float32)


def ways(root: Path) -> dict[str, tuple[Callable[[int], object], int]]:
    """Return every way to read batch k, and how many batches make one turn."""
    import h5py
    from the_well.data import WellDataset

    folder = root / "data" / "train"
    split = Split(folder, ["vorticity"])
    frames = split.read()
    form = Form(2, BATCH, (0,))
    order = Order(len(split), FRAMES, form).permutation(0)
    flat = frames.reshape(-1, *frames.shape[2:])
    buffer = np.empty((2 * BATCH, *flat.shape[1:]), dtype=np.float32)
    in_memory = Windows(torch.from_numpy(normalised(frames, MOMENTS)), form)
    streamed = Prefetched(StreamedWindows(split, MOMENTS, form), torch.device("cpu"))
    file = h5py.File(folder / "noise.hdf5")
    dataset = file["t0_fields/vorticity"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        well = WellDataset(path=str(root), well_split_name="train", use_normalization=False)

    def batch(k: int) -> np.ndarray:
        first = k * BATCH % (len(order) - BATCH)
        return order[first : first + BATCH]

    def limit(k: int) -> object:
        rows = (batch(k)[:, None] + np.arange(2)).reshape(-1)
        return np.take(flat, rows, axis=0, out=buffer, mode="clip")

    def plain(k: int) -> object:
        places = [divmod(int(start), FRAMES) for start in batch(k)]
        return np.stack([dataset[i, t : t + 2] for i, t in places])

    def the_well(k: int) -> object:
        places = [divmod(int(start), FRAMES) for start in batch(k)]
        return [well[i * (FRAMES - 1) + t] for i, t in places]

    return {
        "limit": (limit, 78),
        "memory": (in_memory.batch, 78),
        "streamed": (streamed.batch, 78),
        "h5py": (plain, 78),
        "the_well": (the_well, 4),
    }


def main() -> None:
    """Print pairs per core-second and the two ratios."""
    parser = argparse.ArgumentParser(description="pairs per core-second")
    parser.add_argument("--trajectories", type=int, default=64)
    parser.add_argument("--points", type=int, default=128)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "noise"
        write(root / "data" / "train", options.trajectories, options.points)
        readers = ways(root)
        best = dict.fromkeys(readers, 0.0)
        for _ in range(TURNS):
            for name, (read, batches) in readers.items():
                start = time.process_time()
                for k in range(batches):
                    read(k)
                best[name] = max(best[name], BATCH * batches / (time.process_time() - start))
    for name, rate in best.items():
        print(f"{name:9s} {rate:12.0f} pairs per core-second")
    for name in ("memory", "streamed"):
        print(f"{name} / the_well: {best[name] / best['the_well']:.1f} (at least 3)")
    print(f"limit / memory: {best['limit'] / best['memory']:.2f} (at most 1.2)")


if __name__ == "__main__":
    main()
