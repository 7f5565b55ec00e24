"""A checkpoint: a network's weights, its settings and the normalisation of its frames."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from chimera.files.tensors import read_tensors
from chimera.models.forecasting.building import build_model


def normalisation(moments: Mapping[str, list[float]]) -> dict[str, float | list[float]]:
    """Return moments by channel as a checkpoint holds them: a number where there is one channel."""
    return {name: v if len(v) > 1 else v[0] for name, v in moments.items()}


def read_network(path: Path, device: torch.device) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a trained network in evaluation mode, and the mean and std it normalises by.

    Args:
        path: A model.safetensors of stage `train`.
        device: Where all three go; mean and std are (C, 1, 1).

    Raises:
        InputError: As `read_tensors`.
    """
    weights, about = read_tensors(path)
    network = build_model(about["model"]).to(device).eval()
    network.load_state_dict(weights)
    mean, std = (
        torch.tensor(about["normalisation"][m], device=device).reshape(-1, 1, 1)
        for m in ("mean", "std")
    )
    return network, mean, std
