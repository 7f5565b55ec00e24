"""Tensors and plain values in safetensors files.

A complex tensor NAME (...) is stored as real numbers NAME.as_real (..., 2), its real and imaginary
parts: not every reader of the format knows complex numbers.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, view_as_complex, view_as_real

from chimera.files.artifacts import read_bytes, write_bytes
from chimera.interface.errors import InputError

_AS_REAL = ".as_real"
_HEADER = 8  # bytes of the length of the header


def format_tensors(tensors: Mapping[str, Tensor], values: Any) -> bytes:
    """Return the safetensors file of tensors and plain values; equal content gives equal bytes.

    The values are a single JSON entry, because safetensors does not fix the order of its metadata.
    """
    stored = {}
    for name, tensor in tensors.items():
        if tensor.is_complex():
            name, tensor = f"{name}{_AS_REAL}", view_as_real(tensor.resolve_conj())
        # Two names of one tensor, such as a shared layer's, are stored twice.
        stored[name] = tensor.detach().cpu().contiguous().clone()
    metadata = {"values": json.dumps(values, sort_keys=True)}
    return save(stored, metadata)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], values: Any) -> None:
    """Write tensors and plain values as one safetensors file."""
    write_bytes(path, format_tensors(tensors, values))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], Any]:
    """Return the tensors and the values of a file that `write_tensors` wrote."""
    return parse_tensors(read_bytes(path), str(path))


def parse_tensors(content: bytes, name: str) -> tuple[dict[str, Tensor], Any]:
    """Return the tensors and the values that `format_tensors` formatted."""
    try:
        tensors = load(content)
        for complex_name in [name for name in tensors if name.endswith(_AS_REAL)]:
            pair = tensors.pop(complex_name)
            tensors[complex_name.removesuffix(_AS_REAL)] = view_as_complex(pair)
        end = _HEADER + int.from_bytes(content[:_HEADER], "little")
        return tensors, json.loads(json.loads(content[_HEADER:end])["__metadata__"]["values"])
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        broken = f"{name} is not a whole safetensors file of {len(content)} bytes ({error})"
        raise InputError(f"{broken}; remove it and run `dvc repro`") from None
