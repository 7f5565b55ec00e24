"""Vorticity of a velocity field, omega = dv/dx - du/dy.

Along a periodic axis the derivative is the spectral one, exact for every resolved mode; along an
open axis it is the central difference of second order, one-sided at the two edges. Axes: T time,
H, W space (x before y).
"""

from collections.abc import Sequence

import numpy as np
import torch

from chimera.data.layout.recordings import Array
from chimera.fields.fourier import axis_derivative


def vorticity(u: Array, v: Array, extent: Sequence[float], boundary: Sequence[str]) -> Array:
    """Return the vorticity (T, H, W) of u, v (T, H, W); each axis is `periodic` or `open`."""
    dv_dx = _derivative(v, extent[0], boundary[0], -2)
    du_dy = _derivative(u, extent[1], boundary[1], -1)
    return (dv_dx - du_dy).astype(np.float32)


def _derivative(field: Array, length: float, boundary: str, axis: int) -> np.ndarray:
    values = field.astype(np.float64)
    if boundary == "periodic":
        return axis_derivative(torch.from_numpy(values), length, axis).numpy()
    points = field.shape[axis]
    if points < 2:
        return np.zeros_like(values)
    return np.gradient(values, length / points, axis=axis, edge_order=min(2, points - 1))
