"""Tensors in files: safetensors, whole or not at all, and nothing is unpickled.

Apart from chimera.artifacts, so that what reads no tensors need not wait for torch.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from chimera.artifacts import write_bytes
from chimera.interface.errors import InputError
from chimera.models import build_model


def write_tensors(path: Path, tensors: Mapping[str, Tensor], values: Any) -> None:
    """Write tensors and plain values as one safetensors file; equal content gives equal bytes.

    The values are one JSON entry of the metadata: safetensors keeps its entries in no fixed order.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"values": json.dumps(values, sort_keys=True)}
    write_bytes(path, save(contiguous, metadata))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], Any]:
    """Return the tensors and the values of a file that `write_tensors` wrote; nothing is unpickled.

    Raises:
        InputError: If it is missing, cut off or another format.
    """
    if not path.exists():
        raise InputError(f"cannot read {path}: no such file, expected a safetensors file")
    try:
        with safe_open(path, "pt") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
            return tensors, json.loads((stream.metadata() or {})["values"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(
            f"{path} is not a whole safetensors file of {path.stat().st_size} bytes ({error}); "
            "remove it and run `dvc repro`"
        ) from None


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
