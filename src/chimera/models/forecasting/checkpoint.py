"""A checkpoint: a network's weights, its settings, and the normalisation of its inputs.

C fields, K conditioning channels.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from chimera.files.tensors import read_tensors
from chimera.interface.errors import InputError
from chimera.models.forecasting.building import build_model


def normalisation(moments: Mapping[str, list[float]]) -> dict[str, float | list[float]]:
    """Return moments by channel as in a checkpoint: a number if there is one channel."""
    return {name: v if len(v) > 1 else v[0] for name, v in moments.items()}


class Trained(NamedTuple):
    """A trained network in evaluation mode.

    Attributes:
        network: Maps normalised frames (B, C + K, H, W) to the increment (B, C, H, W).
        mean: Of every channel, (C + K, 1, 1).
        std: Of every channel, (C + K, 1, 1).
        fields: Names of the C fields.
        conditioning: Names of the K channels, see `chimera.data.layout.conditioning`.
    """

    network: nn.Module
    mean: Tensor
    std: Tensor
    fields: tuple[str, ...]
    conditioning: tuple[str, ...]


def read_network(path: Path, device: torch.device) -> Trained:
    """Return a trained network on a device.

    `path` is a model.safetensors of stage `train`; InputError if it contains something else.
    """
    weights, about = read_tensors(path)
    try:
        network = build_model(about["model"]).to(device).eval()
        network.load_state_dict(weights)
        mean, std = (
            torch.tensor(about["normalisation"][m], device=device).reshape(-1, 1, 1)
            for m in ("mean", "std")
        )
        names = tuple(about["fields"]), tuple(about["conditioning"])
    except (KeyError, TypeError, RuntimeError) as error:  # RuntimeError: missing weights
        reason = " ".join(str(error).split())
        raise InputError(f"{path} holds no network with its normalisation: {reason}") from None
    return Trained(network, mean, std, *names)
