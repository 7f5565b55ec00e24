"""Fingerprints of generated flow, on which two processors agree although their last bits differ.

The same recipe gives the same flow up to rounding, which chaos amplifies, but not to 1e-5 over the
length of a trajectory: the enstrophy 1/2 <omega^2> of every trajectory's last frame and the mean
energy 1/2 <|u|^2> of every frame must agree within 1e-5 (chimera.data.verification).
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from chimera.fields.fourier import velocity


def recipe(generator: str, parameters: Mapping[str, Any]) -> str:
    """Return a digest of the generator and its parameters, seeds included."""
    text = json.dumps([generator, parameters], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def flow_fingerprint(
    vorticity: NDArray[np.float32], domain_extent: float, recipe: str
) -> dict[str, Any]:
    """Return the recipe, `enstrophy` by trajectory and `energy` by frame of (n, T, N, N)."""
    field = torch.from_numpy(vorticity).double()
    enstrophy = field[:, -1].square().mean(dim=(-2, -1)) / 2
    energy = velocity(field, domain_extent).square().sum(dim=-1).mean(dim=(0, 2, 3)) / 2
    return {
        "recipe": recipe,
        "enstrophy": [float(f"{value:.9g}") for value in enstrophy.tolist()],
        "energy": [float(f"{value:.9g}") for value in energy.tolist()],
    }
