"""Samples a second of the train stage against its own floor and a plain DataLoader loop.

For every model of params.yaml, side by side in one run, in turns of a few steps each so that a
noisy machine slows all alike:

    floor        forward, backward and optimiser on one fixed batch, nothing else
    stage        what the train stage does: batches, schedule, clipping, validation, saved states
    dataloader   torch's DataLoader over the same frames, the same step

`python benchmarks/training.py [--turns 8] [--threads 1]` needs the IND data of `make repro`.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from chimera import forecast
from chimera.artifacts import read_params
from chimera.checkpoints import write_tensors
from chimera.data.splits import Split
from chimera.data.trajectories import Windows
from chimera.models import build_model
from chimera.settings import read_settings
from chimera.training import Training, TrainSettings

TURN = 20  # steps


def optimiser_step(network: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Callable:
    """Return a step: forward, backward, optimiser."""

    def step(window: Tensor) -> None:
        loss = (forecast.step(network, window[:, 0]) - window[:, 1]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def contenders(
    fields: dict, settings: TrainSettings, train: Tensor, valid: Tensor, folder: Path
) -> dict[str, Callable[[], None]]:
    """Return one step of each contender."""
    windows = Windows(train, 2, settings.batch_size, (0, 0))

    floor_network = build_model(fields)
    floor_optimizer = torch.optim.AdamW(floor_network.parameters(), lr=1e-3, fused=True)
    floor_step, fixed = optimiser_step(floor_network, floor_optimizer), windows.batch(0)

    training = Training(build_model(fields), windows, valid, settings)

    def stage() -> None:
        training.advance()
        if training.completed % settings.save_every == 0:
            write_tensors(folder / "state.safetensors", *training.state())

    pairs = TensorDataset(train[:, :-1].flatten(0, 1), train[:, 1:].flatten(0, 1))
    loader = DataLoader(pairs, settings.batch_size, shuffle=True, drop_last=True)
    batches: Iterator = itertools.chain.from_iterable(itertools.repeat(loader))
    plain_network = build_model(fields)
    plain_optimizer = torch.optim.AdamW(plain_network.parameters(), lr=1e-3, fused=True)
    plain_step = optimiser_step(plain_network, plain_optimizer)
    return {
        "floor": lambda: floor_step(fixed),
        "stage": stage,
        "dataloader": lambda: plain_step(torch.stack(next(batches), dim=1)),
    }


def main() -> None:
    """Measure and print one line per model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=16, help=f"of {TURN} steps each")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    params = read_params()
    settings = read_settings(params["train"], "train", TrainSettings)
    ind = Path("data") / params["datasets"][0] / "data"
    splits = []
    for split in ("train", "valid"):
        vorticity = torch.from_numpy(Split(ind / split, ["vorticity"]).read())
        splits.append((vorticity - vorticity.mean()) / vorticity.std())
    print(
        f"{'model':16s} {'floor':>8s} {'stage':>8s} {'dataloader':>10s}   samples/s; ratio to floor"
    )
    for name, fields in params["models"].items():
        with tempfile.TemporaryDirectory() as folder:
            steps = contenders(fields, settings, *splits, Path(folder))
            seconds = dict.fromkeys(steps, 0.0)
            for step in steps.values():
                step()
            for _ in range(options.turns):
                for contender, step in steps.items():
                    start = time.perf_counter()
                    for _ in range(TURN):
                        step()
                    seconds[contender] += time.perf_counter() - start
        samples = options.turns * TURN * settings.batch_size
        rates = {contender: samples / second for contender, second in seconds.items()}
        print(
            f"{name:16s} {rates['floor']:8.0f} {rates['stage']:8.0f} {rates['dataloader']:10.0f}"
            f"   stage {rates['stage'] / rates['floor']:.3f}, "
            f"dataloader {rates['dataloader'] / rates['floor']:.3f}"
        )


if __name__ == "__main__":
    main()
