"""Simulate one dataset and write it in The Well's layout.

Writes data/<dataset>/data/<split>/*.hdf5, stats.yaml (of the train split, IND only) and
checksums.yaml, and a copy of the last where the verify stage finds all datasets' side by side.
"""

import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from zlib import crc32

from argparse_dataclass import ArgumentParser

from chimera.artifacts import read_params, whole_file, write_text, write_yaml
from chimera.data.fingerprint import flow_fingerprint, recipe
from chimera.data.generation import GENERATOR, Regime, generate
from chimera.data.settings import SPLITS, GeneratedData
from chimera.data.well import statistics, write_trajectories
from chimera.governance import checksum_entry, format_entries
from chimera.settings import read_settings
from chimera.solver import KolmogorovForcing
from chimera.stages import guarded


@dataclass
class Options:
    """Matrix coordinates."""

    dataset: str


def main() -> None:
    """Run the stage."""
    name = ArgumentParser(Options).parse_args().dataset
    data = read_settings(read_params()["data"], "data", GeneratedData)
    dataset = data.datasets[name]
    forcing = KolmogorovForcing(**asdict(dataset.forcing)) if dataset.forcing else None
    regime = Regime(
        viscosity=dataset.viscosity,
        drag=dataset.drag,
        forcing=forcing,
        initial_peak=dataset.initial_peak,
        warm_up=dataset.warm_up,
        max_speed=dataset.max_speed,
        domain_extent=data.domain_extent,
        simulated_points=data.simulated_points,
        num_points=data.num_points,
        num_frames=data.num_frames,
        frame_interval=data.frame_interval,
    )
    # A split's seed depends on names alone, so that adding a dataset changes no other.
    seeds = {s: (data.seed, crc32(name.encode()), SPLITS.index(s)) for s in dataset.trajectories}
    sizes = [(seeds[split], count) for split, count in dataset.trajectories.items()]
    results = generate(regime, sizes, os.cpu_count() or 1, name)

    folder = Path("data") / name
    shutil.rmtree(folder, ignore_errors=True)
    scalars = {
        "viscosity": dataset.viscosity,
        "drag": dataset.drag,
        "forcing": forcing.amplitude if forcing else 0.0,
        "forcing_wavenumber": float(forcing.wavenumber) if forcing else 0.0,
        "forcing_angle": forcing.angle if forcing else 0.0,
    }
    entries = []
    for (split, count), vorticity in zip(dataset.trajectories.items(), results, strict=True):
        path = folder / "data" / split / f"{name}_{split}.hdf5"
        with whole_file(path) as temporary:
            write_trajectories(
                temporary,
                vorticity,
                dataset_name=name,
                domain_extent=data.domain_extent,
                frame_interval=data.frame_interval,
                scalars=scalars,
            )
        origin = {"regime": asdict(regime), "seed": seeds[split], "count": count}
        digest = recipe(GENERATOR, origin)
        fingerprint = flow_fingerprint(vorticity, data.domain_extent, digest)
        entries.append(checksum_entry(path, "generated", fingerprint))
        if split == "train":
            moments = statistics(vorticity, data.domain_extent)
            write_yaml(folder / "stats.yaml", moments)
            spread = {"recipe": digest, "std": list(moments["std"].values())[:1]}
            entries.append(checksum_entry(folder / "stats.yaml", "generated", spread))
    listing = "files:\n" + format_entries(entries)
    write_text(folder / "checksums.yaml", listing)
    write_text(Path("metrics/gates/generate") / f"{name}.yaml", listing)


if __name__ == "__main__":
    guarded(main)
