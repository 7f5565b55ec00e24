"""Training on a GPU: windows a second by precision and compilation, memory, and the CPU's numbers.

For every network of `scale=gpu`, or of the overrides, on random frames of that size:

    rate        windows of training steps a second; median over turns
    memory      the most that torch allocates, beside the frames and before the first step
    loss        mean relative deviation from float32's over the first steps, from the same weights
    output      of the same weights, largest deviation from the CPU's relative to the largest value

`python benchmarks/gpu.py [--turns 10] [OVERRIDE ...]` needs a GPU and no data.
"""

import argparse
import statistics
import time
from collections.abc import Mapping
from typing import Any

import torch
import yaml
from msgspec.structs import replace
from torch import Tensor

from chimera.data.batches.trajectories import Form, Windows
from chimera.data.settings import GeneratedData, read_data_of
from chimera.interface.errors import guarded
from chimera.models.forecasting.building import build_model, fit_to_data
from chimera.models.forecasting.devices import describe, prepare_device
from chimera.planning.composition import compose
from chimera.planning.costs import network_cost
from chimera.training.loop import Training
from chimera.training.settings import TrainSettings, train_settings

TURN = 20  # steps
PLAIN = {"precision": "float32", "deterministic": True, "compile": False}
CASES = [
    PLAIN,
    PLAIN | {"deterministic": False},
    PLAIN | {"precision": "tf32"},
    PLAIN | {"precision": "tf32", "deterministic": False},
    PLAIN | {"precision": "bfloat16"},
    PLAIN | {"precision": "bfloat16", "deterministic": False},
    PLAIN | {"compile": True},
    {"precision": "tf32", "deterministic": False, "compile": True},
    {"precision": "bfloat16", "deterministic": False, "compile": True},
]


def random_frames(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Return normalised frames (32, 11, C + K, H, W)."""
    generator = torch.Generator(device).manual_seed(0)
    return torch.randn(32, 11, *shape, device=device, generator=generator)


def begin(
    fields: Mapping[str, Any], settings: TrainSettings, frames: Tensor, num_fields: int
) -> Training:
    """Return a training that looks at no validation split."""
    torch.manual_seed(0)
    endless = replace(settings, steps=10**9, validate_every=10**9, schedule="constant")
    windows = Windows(frames, Form(1 + settings.unroll, settings.batch_size, (0,)))
    network = build_model(fields).to(frames.device)
    return Training(network, windows, frames[:1], endless, num_fields=num_fields)


def measure(training: Training, turns: int) -> tuple[list[float], float, int]:
    """Return the losses of the first steps, windows a second, and the most bytes allocated."""
    device, losses = training.device, []
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    for _ in range(TURN):
        training.advance()
        losses.append(training.read_loss() * training.completed)
    for _ in range(TURN):
        training.advance()
    times = []
    for _ in range(turns):
        torch.cuda.synchronize(device)
        start = time.perf_counter()
        for _ in range(TURN):
            training.advance()
        torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    sums = [0.0, *losses]
    rate = TURN * training.settings.batch_size / statistics.median(times)
    peak = torch.cuda.max_memory_allocated(device) - before
    return [late - early for early, late in zip(sums, losses, strict=False)], rate, peak


def deviation(fields: Mapping[str, Any], frames: Tensor) -> float:
    """Return the deviation of a network's output on the GPU from that on the CPU."""
    torch.manual_seed(0)
    network = build_model(fields).eval()
    with torch.no_grad():
        here, there = (
            network.to(device)(frames.to(device)).cpu() for device in ("cpu", frames.device)
        )
    return float((here - there).abs().max() / here.abs().max())


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=10, help=f"of {TURN} steps each")
    parser.add_argument("overrides", nargs="*", default=["scale=gpu"])
    options = parser.parse_args()
    params = yaml.safe_load(compose(options.overrides))
    data = read_data_of(params["data"], GeneratedData)
    C, K, side = len(data.fields), len(data.conditioning), data.num_points
    device = prepare_device("cuda", 1)
    frames = random_frames((C + K, side, side), device)
    card, versions = torch.cuda.get_device_name(device), describe(device)
    print(f"{card}, torch {versions['torch']}, CUDA {torch.version.cuda}, {side}^2 points")
    for name in params["model_names"]:
        fields = fit_to_data(
            params["models"][name], (C, side, side), ("periodic", "periodic"), conditioning=K
        )
        common = train_settings(params["train"], params["models"][name], f"models.{name}")
        planned = {
            kind: network_cost(fields, kind) for kind in ("float32", "bfloat16")
        }  # tf32 saves what float32 saves
        prepare_device("cuda", 1)
        print(
            f"\n{name}: {planned['float32'].params:,} parameters, batch {common.batch_size}, "
            f"forecasts differ from the CPU's by {deviation(fields, frames[0, :4]):.1e}"
        )
        print(
            "| precision | deterministic | compiled | windows/s | ratio | memory | planned | loss |"
        )
        print("|---|---|---|---|---|---|---|---|")
        first: tuple[list[float], float] | None = None
        for case in CASES:
            settings = replace(common, device="cuda", devices=1, **case)
            tf32 = settings.precision == "tf32"
            prepare_device("cuda", 1, tf32=tf32, deterministic=settings.deterministic)
            torch.compiler.reset()
            training = begin(fields, settings, frames, C)
            losses, rate, peak = measure(training, options.turns)
            del training
            first = first or (losses, rate)
            off = statistics.fmean(abs(a / b - 1) for a, b in zip(losses, first[0], strict=True))
            cost = planned["bfloat16" if settings.precision == "bfloat16" else "float32"]
            plan = settings.batch_size * settings.unroll * cost.activation_bytes
            print(
                f"| {settings.precision} | {'yes' if settings.deterministic else 'no'} "
                f"| {'yes' if settings.compile else 'no'} | {rate:.0f} | {rate / first[1]:.2f} "
                f"| {peak / 1e9:.2f} GB | {plan / 1e9:.2f} GB | {off:.1e} |",
                flush=True,
            )


if __name__ == "__main__":
    guarded(main)
