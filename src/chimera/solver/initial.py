"""Gaussian random initial vorticity whose energy spectrum has a prescribed peak.

    E(m) ~ m^4 exp(-2 (m / m_0)^2),    largest at m = m_0,

in integer wavenumbers m, scaled to a root-mean-square velocity of 1. The coefficients are drawn
mode by mode in a fixed order, so that a seed gives the same field on every grid.
"""

import math

import numpy as np
import torch
from torch import Tensor

from chimera.interface.errors import InputError


def random_vorticity(
    generator: np.random.Generator, num_points: int, domain_extent: float, peak: int
) -> Tensor:
    """Return a random vorticity (N, N), N > 6 m_0, float64, on a box of side `domain_extent`."""
    highest = 3 * peak  # beyond it the spectrum is below 1e-5 of its peak
    if peak < 1 or 2 * highest >= num_points:
        raise InputError(f"initial_peak is {peak}, expected 1 or more, less than {num_points} / 6")
    m = np.arange(-highest, highest + 1)
    radius = np.hypot(m[:, None], m[None, :])
    # A shell of radius m has about 2 pi m modes, and vorticity is m times velocity.
    amplitude = np.sqrt(radius**5 * np.exp(-2 * (radius / peak) ** 2))
    noise = generator.standard_normal((2, len(m), len(m)))
    coefficients = amplitude * (noise[0] + 1j * noise[1])
    coefficients += np.conj(coefficients[::-1, ::-1])  # the field is real
    safe = np.where(radius == 0, 1.0, radius) * (2 * math.pi / domain_extent)
    coefficients /= math.sqrt((np.abs(coefficients / safe) ** 2).sum())  # rms velocity 1
    field_hat = torch.zeros((num_points, num_points), dtype=torch.complex128)
    index = torch.from_numpy(m)
    field_hat[index[:, None], index[None, :]] = torch.from_numpy(coefficients)
    return torch.fft.ifft2(field_hat, norm="forward").real.contiguous()
