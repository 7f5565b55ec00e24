"""Tensors and plain values in safetensors files.

A complex tensor NAME (...) is stored as real numbers NAME.as_real (..., 2), its real and imaginary
parts: not every reader of the format knows complex numbers.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, view_as_complex, view_as_real

from chimera.files.artifacts import write_bytes
from chimera.interface.errors import InputError

_AS_REAL = ".as_real"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], values: Any) -> None:
    """Write tensors and plain values as one safetensors file; equal content gives equal bytes.

    The values are a single JSON entry, because safetensors does not fix the order of its metadata.
    """
    stored = {
        f"{name}{_AS_REAL}" if tensor.is_complex() else name: (
            view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
        )
        for name, tensor in tensors.items()
    }
    # Two names of one tensor, such as a shared layer's, are stored twice.
    contiguous = {name: t.detach().cpu().contiguous().clone() for name, t in stored.items()}
    metadata = {"values": json.dumps(values, sort_keys=True)}
    write_bytes(path, save(contiguous, metadata))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], Any]:
    """Return the tensors and the values of a file that `write_tensors` wrote."""
    if not path.exists():
        raise InputError(f"cannot read {path}: no such file, expected a safetensors file")
    try:
        with safe_open(path, "pt") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
            for name in [name for name in tensors if name.endswith(_AS_REAL)]:
                tensors[name.removesuffix(_AS_REAL)] = view_as_complex(tensors.pop(name))
            return tensors, json.loads((stream.metadata() or {})["values"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(
            f"{path} is not a whole safetensors file of {path.stat().st_size} bytes ({error}); "
            "remove it and run `dvc repro`"
        ) from None
