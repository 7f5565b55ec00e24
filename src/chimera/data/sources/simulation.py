"""One dataset of the solver's flow, written in The Well's layout."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zlib import crc32

from chimera.data.layout.leakage import Frames, digest_frames
from chimera.data.layout.recordings import Layout
from chimera.data.settings import SPLITS, GeneratedData
from chimera.data.sources.dataset import Made
from chimera.data.sources.fingerprint import flow_fingerprint, recipe
from chimera.data.sources.generation import GENERATOR, generate, regime_of
from chimera.data.sources.well_writer import statistics, write_trajectories
from chimera.solver import KolmogorovForcing


def simulate_dataset(name: str, data: GeneratedData, folder: Path) -> Made:
    """Simulate one dataset, a key of data.datasets, into an empty folder: later data/<name>."""
    dataset, box = data.datasets[name], data.domain_extent
    regime = regime_of(dataset, data)
    # A split's seed depends on names alone, so that adding a dataset changes no other.
    seeds = {s: (data.seed, crc32(name.encode()), SPLITS.index(s)) for s in dataset.trajectories}
    sizes = [(seeds[split], count) for split, count in dataset.trajectories.items()]
    results = generate(regime, sizes, os.cpu_count() or 1, name)
    forcing = regime.forcing or KolmogorovForcing(0.0, 0)
    scalars = {
        "viscosity": dataset.viscosity,
        "drag": dataset.drag,
        "forcing": forcing.amplitude,
        "forcing_wavenumber": float(forcing.wavenumber),
        "forcing_angle": forcing.angle,
    }
    files: list[tuple[str, dict[str, Any] | None]] = []
    stats: dict[str, Any] | None = None
    frames = {}
    for (split, count), vorticity in zip(dataset.trajectories.items(), results, strict=True):
        path = f"data/{split}/{name}_{split}.hdf5"
        (folder / path).parent.mkdir(parents=True)
        write_trajectories(
            folder / path,
            vorticity,
            dataset_name=name,
            domain_extent=box,
            frame_interval=data.frame_interval,
            scalars=scalars,
        )
        digest = recipe(GENERATOR, {"regime": asdict(regime), "seed": seeds[split], "count": count})
        files.append((path, flow_fingerprint(vorticity, box, digest)))
        if split == "train":
            stats = statistics(vorticity, box)
            std = [stats["std"]["vorticity"]]
            files.append(("stats.yaml", {"recipe": digest, "std": std}))
        digests = digest_frames(vorticity.reshape(-1, *vorticity.shape[2:]))
        places = [f"trajectory {i} of data/{name}/{path}" for i in range(count)]
        frames[split] = Frames(digests.reshape(count, -1, 2), places)
    grid, periodic = (data.num_points, data.num_points), ("periodic", "periodic")
    layout = Layout("generated", grid, data.num_frames, periodic, (box, box), data.frame_interval)
    return Made(layout, stats, files, frames)
