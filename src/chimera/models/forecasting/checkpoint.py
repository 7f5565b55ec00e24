"""A checkpoint: a network's weights, its settings and the normalisation of its frames."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from chimera.files.tensors import read_tensors
from chimera.interface.errors import InputError
from chimera.models.forecasting.building import build_model


def normalisation(moments: Mapping[str, list[float]]) -> dict[str, float | list[float]]:
    """Return moments by channel as in a checkpoint: a number if there is one channel."""
    return {name: v if len(v) > 1 else v[0] for name, v in moments.items()}


def read_network(path: Path, device: torch.device) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a trained network in evaluation mode, and its mean and std (C, 1, 1), on a device.

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
    except (KeyError, TypeError, RuntimeError) as error:  # RuntimeError: missing weights
        reason = " ".join(str(error).split())
        raise InputError(f"{path} holds no network with its normalisation: {reason}") from None
    return network, mean, std
