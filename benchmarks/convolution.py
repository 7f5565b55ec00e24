"""Samples per core-second of a training step, by the way its convolutions meet the periodic edge.

One step is forward, backward and AdamW on one fixed batch, on one thread. The same network is
timed with torch's circular padding, with chimera's, and with zero padding, which is the wrong
physics but the upper limit: the convolution then pads inside its own kernel. The variants take
turns step by step in one process, so that a busy machine slows all of them alike; the table gives
the median over rounds and the ratio to chimera's.

    python benchmarks/convolution.py [--rounds 30] [--batch 16] [--activation silu]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from chimera.models import build_model
from chimera.models.networks.periodic import PeriodicConv2d

MODELS = {
    "unet": {"type": "unet", "channels": [8, 16, 32, 64]},
    "fractal_unet": {
        "type": "fractal_unet",
        "channels": [8, 12, 20, 72],
        "columns": 2,
        "drop_path": 0.0,
    },
}
COMMON = {
    "input_shape": [1, 64, 64],
    "kernel_size": 3,
    "use_skip": True,
    "norm": "group",
    "dropout": 0.0,
}


def padded_by_torch(model: nn.Module, padding_mode: str) -> nn.Module:
    """Put `Conv2d` of a padding mode in place of every periodic convolution."""
    for name, module in list(model.named_modules()):
        if isinstance(module, PeriodicConv2d):
            size = module.kernel_size[0]
            conv = nn.Conv2d(
                module.in_channels,
                module.out_channels,
                size,
                padding=size // 2,
                padding_mode=padding_mode,
            )
            conv.weight, conv.bias = module.weight, module.bias
            model.set_submodule(name, conv)
    return model


def training_step(model: nn.Module, x: torch.Tensor) -> Callable[[], None]:
    """One step of next-frame regression on a fixed batch."""
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        (model(x) - x).square().mean().backward()
        optimizer.step()

    return step


def main() -> None:
    """Print one table per model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--activation", default="silu")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = torch.randn(arguments.batch, 1, 64, 64)

    for name, settings in MODELS.items():

        def build(settings: dict = settings) -> nn.Module:
            return build_model({**COMMON, **settings, "activation": arguments.activation})

        steps = {
            "torch, circular": training_step(padded_by_torch(build(), "circular"), x),
            "chimera, circular": training_step(build(), x),
            "torch, zeros (limit)": training_step(padded_by_torch(build(), "zeros"), x),
        }
        seconds: dict[str, list[float]] = {variant: [] for variant in steps}
        for _ in range(arguments.rounds + 2):
            for variant, step in steps.items():
                start = time.process_time()
                step()
                seconds[variant].append(time.process_time() - start)
        ours = seconds["chimera, circular"][2:]
        print(f"{name}, batch {arguments.batch} of 64 x 64, {arguments.activation}")
        for variant, all_times in seconds.items():
            times = all_times[2:]
            rate = arguments.batch / statistics.median(times)
            ratio = statistics.median(b / a for a, b in zip(times, ours, strict=True))
            print(f"  {variant:22s} {rate:6.1f} samples / core-second, {ratio:4.2f} of chimera's")


if __name__ == "__main__":
    main()
