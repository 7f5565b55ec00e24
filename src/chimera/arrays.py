"""Arrays of safetensors files, for what draws and has no use for torch.

Apart from chimera.artifacts, which reads no arrays, and chimera.checkpoints, which needs torch.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from chimera.interface.errors import InputError


def read_arrays(path: Path) -> dict[str, NDArray[np.floating]]:
    """Return the arrays of a safetensors file by name; nothing is unpickled.

    Raises:
        InputError: If it is missing, cut off or another format.
    """
    try:
        with safe_open(path, "np") as stream:
            return {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"cannot read {path}: {error}; expected a whole safetensors file: run `dvc repro`"
        ) from None
