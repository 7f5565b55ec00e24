"""A checkpoint: what stage `train` wrote of a network, and training.cell says of it, is read.

C fields, K channels beside, P past frames.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from chimera.files.tensors import read_tensors
from chimera.models.forecasting.building import build_model
from chimera.models.forecasting.registry import reporting


def normalisation(moments: Mapping[str, list[float]]) -> dict[str, float | list[float]]:
    """Return moments by channel as in a checkpoint: a number if there is one channel."""
    return {name: v if len(v) > 1 else v[0] for name, v in moments.items()}


class Trained(NamedTuple):
    """A trained network in evaluation mode."""

    network: nn.Module  # from normalised states (B, P C + K, H, W) to the increment (B, C, H, W)
    mean: Tensor  # of every channel of a state (models.forecasting.stepping), (P C + K, 1, 1)
    std: Tensor  # likewise
    fields: tuple[str, ...]  # names of the C fields
    conditioning: tuple[str, ...]  # names of the K channels, see chimera.data.layout.conditioning
    past_frames: int = 1  # P
    boundary: tuple[str, ...] | None = None  # along x and y, of the data that it was trained on
    frame_interval: float | None = None  # of those data, None if they do not have it


def read_network(path: Path, device: torch.device) -> Trained:
    """Return the network of a model.safetensors of stage `train`; InputError if it has none."""
    weights, about = read_tensors(path)
    with reporting(f"{path} holds no network with its normalisation"):
        network = build_model(about["model"]).to(device).eval()
        network.load_state_dict(weights)
        moments = [torch.tensor(about["normalisation"][m], device=device) for m in ("mean", "std")]
        fields, known, P = about["fields"], about["conditioning"], about.get("past_frames", 1)
        parts = (of.reshape(-1, 1, 1).split([len(fields), len(known)]) for of in moments)
        mean, std = (torch.cat([own.repeat(P, 1, 1), other]) for own, other in parts)
        boundary = tuple(about.get("boundary") or ()) or None
        data = boundary, about.get("frame_interval")  # of which older checkpoints have neither
    return Trained(network, mean, std, tuple(fields), tuple(known), P, *data)
