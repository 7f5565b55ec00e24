"""Largest stable time step.

The tendency's eigenvalues are at most i (|u| k_x + |v| k_y) on the imaginary axis, where
Runge-Kutta's stability interval ends at 2 sqrt 2 (Hairer & Wanner 1996, section IV.2). The highest
kept wavenumber is below (2 pi / L) N / 3, so that the CFL number h max(|u| + |v|) N / L must not
exceed 2 sqrt 2 x 3 / (2 pi).
"""

import math
from collections.abc import Sequence

from torch import Tensor

from chimera.interface.errors import InputError

MAX_CFL = 2 * math.sqrt(2) * 3 / (2 * math.pi)


def check_stability(
    cfl: Tensor, names: Sequence[str] | None, time: float, time_step: float
) -> None:
    """Raise InputError for the first trajectory with a CFL number (B,) too large or not finite."""
    unstable = ~(cfl <= MAX_CFL)  # includes NaN
    if not bool(unstable.any()):
        return
    number = int(unstable.nonzero()[0])
    name, value = names[number] if names else f"trajectory {number}", float(cfl[number])
    if math.isfinite(value):
        raise InputError(
            f"{name} has CFL number {value:.3g} at time {time:.6g}, expected at most "
            f"{MAX_CFL:.3g}: the time step is {time_step:.4g} and must be at most "
            f"{time_step * MAX_CFL / value:.4g}"
        )
    stated = f"{name} blew up before time {time:.6g} with time step {time_step:.4g}"
    raise InputError(f"{stated}, expected finite vorticity: take a smaller time step")
