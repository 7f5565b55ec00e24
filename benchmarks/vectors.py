"""What it costs to hold a processor to AVX2: training with and without, in turns, one core each.

    python benchmarks/vectors.py [--turns 5]

Libraries choose their kernels when they load, so that every turn is a process of its own: training
steps of each network of params.yaml on random frames, with the switches of
chimera.files.vectors (`train.deterministic: true`) and without. Processor time, best of turns.
On a processor without wider vectors than AVX2 both should cost the same.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import yaml

from chimera.files.vectors import FOREIGN, SWITCHES

STEPS = 40


def seconds(name: str) -> float:
    """Return the processor seconds of a training's steps, after as many to warm up."""
    import torch

    from chimera.files.artifacts import read_params
    from chimera.models.forecasting.building import fit_to_data
    from chimera.training.settings import train_settings
    from gpu import begin, random_frames

    params = read_params()
    data, model = params["data"], params["models"][name]
    C, K, grid = len(data["fields"]), len(data["conditioning"]), data["shape"][1:]
    fields = fit_to_data(model, (C, *grid), ("periodic", "periodic"), conditioning=K)
    settings = train_settings(params["train"], model, f"models.{name}")
    torch.set_num_threads(1)
    frames = random_frames((C + K, *grid), torch.device("cpu"))
    training = begin(fields, settings, frames, C)
    for step in range(2 * STEPS):
        if step == STEPS:
            start = time.process_time()
        training.advance()
    return time.process_time() - start


def measured(name: str, switches: dict[str, str]) -> float:
    """Return `seconds` in a process with these switches alone."""
    ours = {*SWITCHES, *FOREIGN}
    plain = {key: value for key, value in os.environ.items() if key not in ours}
    command = [sys.executable, __file__, "--network", name]
    done = subprocess.run(
        command, env=plain | {"OMP_NUM_THREADS": "1"} | switches, check=True, capture_output=True
    )
    return float(done.stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--network", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.network:
        print(seconds(options.network))
        return
    print("| network | held to AVX2, ms a step | not held, ms a step | ratio |\n|---|---|---|---|")
    for name in yaml.safe_load(Path("params.yaml").read_text())["model_names"]:
        turns = [(measured(name, SWITCHES), measured(name, {})) for _ in range(options.turns)]
        held, free = (min(times) / STEPS * 1e3 for times in zip(*turns, strict=True))
        print(f"| {name} | {held:.1f} | {free:.1f} | {held / free:.2f} |", flush=True)


if __name__ == "__main__":
    main()
