"""NumPy arrays in npz archives and safetensors files, without torch."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from chimera.files.artifacts import Section, read_bytes, write_bytes
from chimera.interface.errors import InputError


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays by name as an npz archive; equal content gives equal bytes."""
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **dict(arrays))
    write_bytes(path, stream.getvalue())


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz archive by name; nothing is unpickled."""
    content = io.BytesIO(read_bytes(path))
    try:
        with np.load(content, allow_pickle=False) as archive:
            return Section(archive, str(path))
    except Exception as error:  # numpy and zipfile document none of those that a broken file has
        raise InputError(f"{path} is not a whole npz archive: {error}") from None


def read_safetensors(path: Path) -> dict[str, NDArray[np.floating]]:
    """Return the arrays of a safetensors file by name."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"cannot read {path}: {error}; expected a whole safetensors file: run `dvc repro`"
        ) from None
