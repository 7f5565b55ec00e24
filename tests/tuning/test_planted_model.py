"""A model that differs from another in its best learning rate alone ties with it after a search.

A step of Adam changes a parameter by about the learning rate, whatever the size of its gradient. A
network whose weights are a tenth of its parameters therefore learns as the plain one does at a
tenth of the rate.
"""

from pathlib import Path

import torch
import yaml
from msgspec.structs import replace
from torch import nn
from torch.nn.utils import parametrize

import networks
from chimera.data.batches.trajectories import Form, Windows
from chimera.interface.settings import read_settings
from chimera.models import build_model
from chimera.training.loop import DivergedError, Training
from chimera.training.settings import train_settings
from chimera.tuning.search import Search, draws

UNET = networks.UNET | {"input_shape": [1, 8, 8], "channels": [4, 8], "norm": "none"}
COMMON = yaml.safe_load(Path("params.yaml").read_text())["train"] | {
    "steps": 60,
    "batch_size": 8,
    "gradient_clip": 1e6,  # would clip the two differently
}


class Tenth(nn.Module):
    """A weight that is a tenth of its parameter."""

    def forward(self, parameter):
        return parameter / 10

    def right_inverse(self, weight):
        return 10 * weight


def plant(network):
    """Make every parameter of a network ten times its weight."""
    for module in list(network.modules()):
        for name, _ in list(module.named_parameters(recurse=False)):
            parametrize.register_parametrization(module, name, Tenth())
    return network


def frames(seed):
    """Return trajectories (n, T, 1, 8, 8) of patterns that move by one point a frame."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(6, 1, 8, 8, generator=generator)
    return torch.stack([first.roll(t, -1) for t in range(6)], dim=1)


def error(planted, tuned):
    """Return the validation nRMSE at the end of a training, infinite if it diverges."""
    settings = replace(train_settings(COMMON, {}), **tuned)
    torch.manual_seed(0)
    network = build_model(UNET)
    windows = Windows(frames(0), Form(2, settings.batch_size, (0, 0)))
    run = Training(plant(network) if planted else network, windows, frames(1), settings)
    try:
        while not run.finished:
            run.advance()
    except DivergedError:
        return float("inf")
    return run.history[-1].valid_nrmse


def test_a_model_whose_best_rate_is_ten_times_off_loses_before_a_search_and_ties_after_it():
    declared = yaml.safe_load(Path("tuning/params.yaml").read_text())
    points = draws(read_settings(declared | {"lr": [1e-3, 1.0]}, "tuning", Search))
    plain, planted = ({p["lr"]: error(kind, p) for p in points} for kind in (False, True))
    best = min(plain, key=plain.__getitem__)
    assert planted[best] > 3 * plain[best]
    assert 0.8 < min(planted.values()) / plain[best] < 1.25
