"""Tensors and plain values in safetensors files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from chimera.files.artifacts import write_bytes
from chimera.interface.errors import InputError


def write_tensors(path: Path, tensors: Mapping[str, Tensor], values: Any) -> None:
    """Write tensors and plain values as one safetensors file; equal content gives equal bytes.

    The values are a single JSON entry, because safetensors does not fix the order of its metadata.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"values": json.dumps(values, sort_keys=True)}
    write_bytes(path, save(contiguous, metadata))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], Any]:
    """Return the tensors and the values of a file that `write_tensors` wrote."""
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
