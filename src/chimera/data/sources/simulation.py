"""One dataset of the solver's flow, written in The Well's layout, with fingerprints.

Two processors agree on a fingerprint although their last bits differ: the same recipe gives the
same flow up to rounding, which chaos amplifies, but not to 1e-5 over the length of a trajectory.
The enstrophy 1/2 <omega^2> of every trajectory's last frame and the mean energy 1/2 <|u|^2> of
every frame must agree within 1e-5 (chimera.data.verification).
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from msgspec import to_builtins
from numpy.typing import NDArray

from chimera.data.layout.leakage import Frames, digest_frames
from chimera.data.settings import SPLITS, GeneratedData
from chimera.data.sources.dataset import Made, layout_of
from chimera.data.sources.generation import Drawn, draw_trajectory, generate, regime_of
from chimera.data.sources.well_writer import statistics, write_trajectories
from chimera.fields.fourier import velocity
from chimera.solver import KolmogorovForcing

# Part of every recipe, to be raised whenever the same settings and seeds give another flow.
GENERATOR = "chimera.solver 1"


def simulate_dataset(name: str, data: GeneratedData, folder: Path) -> Made:
    """Simulate one dataset, a key of data.datasets, into an empty folder: later data/<name>."""
    dataset, box, layout = data.datasets[name], data.domain_extent, layout_of(data)
    regime = regime_of(dataset, data)
    identity: dict[str, Any] = to_builtins(regime)
    if regime.warm_up_points == regime.simulated_points:
        del identity["warm_up_points"]  # a setting that leaves the flow as it was before
    # A split's seed depends on names alone, so that adding a dataset changes no other.
    seeds = {s: (data.seed, crc32(name.encode()), SPLITS.index(s)) for s in dataset.trajectories}
    sizes = list(zip(seeds.values(), dataset.trajectories.values(), strict=True))
    drawn = [[draw_trajectory(regime, seed, i)[1] for i in range(n)] for seed, n in sizes]
    sources = [_sources(physics, data) for physics in drawn]  # before the simulation: may refuse
    results = generate(regime, sizes, os.cpu_count() or 1, name)
    files: list[tuple[str, dict[str, Any] | None]] = []
    stats: dict[str, Any] | None = None
    frames = {}
    for split, vorticity, forcing, physics in zip(seeds, results, sources, drawn, strict=True):
        count = len(vorticity)
        path = f"data/{split}/{name}_{split}.hdf5"
        (folder / path).parent.mkdir(parents=True)
        write_trajectories(folder / path, vorticity, forcing, layout, name, _scalars(physics))
        parameters = {"regime": identity, "seed": seeds[split], "count": count}
        digest = recipe(GENERATOR, parameters)
        files.append((path, flow_fingerprint(vorticity, box, digest)))
        if split == "train":
            stats = statistics(vorticity, forcing, box)
            files.append(("stats.yaml", {"recipe": digest, "std": [stats["std"]["vorticity"]]}))
        places = [f"trajectory {i} of data/{name}/{path}" for i in range(count)]
        frames[split] = Frames(np.stack([digest_frames(one) for one in vorticity]), places)
    return Made(layout, stats, files, frames)


def _sources(physics: Sequence[Drawn], data: GeneratedData) -> NDArray[np.float32]:
    """Return curl F of the stored frames (n, N, N)."""
    N, box = data.num_points, data.domain_extent
    still = np.zeros((N, N))
    forces = [one.forcing for one in physics]
    fields = [force.vorticity_source(N, box).numpy() if force else still for force in forces]
    return np.stack(fields).astype(np.float32)


def _scalars(physics: Sequence[Drawn]) -> dict[str, NDArray[np.float64]]:
    """Return the parameters of the stored frames by name, each (n,); all 0 without a force."""
    unforced = KolmogorovForcing(0.0, 0)
    forces = [one.forcing or unforced for one in physics]
    columns = {
        "viscosity": [one.viscosity for one in physics],
        "drag": [one.drag for one in physics],
        "forcing_amplitude": [force.amplitude for force in forces],
        "forcing_wavenumber": [force.wavenumber for force in forces],
        "forcing_angle": [force.angle for force in forces],
    }
    return {name: np.array(values, dtype=np.float64) for name, values in columns.items()}


def recipe(generator: str, parameters: Mapping[str, Any]) -> str:
    """Return a digest of the generator and its parameters, seeds included."""
    text = json.dumps([generator, parameters], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def flow_fingerprint(
    vorticity: NDArray[np.float32], domain_extent: float, recipe: str
) -> dict[str, Any]:
    """Return the recipe, `enstrophy` by trajectory and `energy` by frame of (n, T, N, N)."""
    field = torch.from_numpy(vorticity).double()
    enstrophy = field[:, -1].square().mean(dim=(-2, -1)) / 2
    energy = velocity(field, domain_extent).square().sum(dim=-1).mean(dim=(0, 2, 3)) / 2
    return {
        "recipe": recipe,
        "enstrophy": [float(f"{value:.9g}") for value in enstrophy.tolist()],
        "energy": [float(f"{value:.9g}") for value in energy.tolist()],
    }
