"""Kolmogorov forcing (Arnold & Meshalkin 1960), a steady shear force.

    F = A sin(k y') e_x',    curl F = -dF_x'/dy' = -A k cos(k y')

with x' and y' the axes x and y turned by the angle a: at angle 0 it points along x.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from chimera.interface.errors import InputError


@dataclass(frozen=True)
class KolmogorovForcing:
    """F = A sin(k y') e_x' on a box of side L, with k = 2 pi n / L.

    The turned wave vector k (-sin a, cos a) must have whole periods along both axes of the box.
    """

    amplitude: float  # A, in units of acceleration
    wavenumber: int  # n
    angle: float = 0.0  # a, in radians

    def vorticity_source(self, num_points: int, domain_extent: float) -> Tensor:
        """Return curl F (num_points, num_points), float64, on the grid x_j = j L / N."""
        exact = (-self.wavenumber * math.sin(self.angle), self.wavenumber * math.cos(self.angle))
        periods = (round(exact[0]), round(exact[1]))
        if max(abs(e - p) for e, p in zip(exact, periods, strict=True)) > 1e-9:
            raise InputError(
                f"forcing.angle is {self.angle} at wavenumber {self.wavenumber}: the pattern has "
                f"({exact[0]:.4g}, {exact[1]:.4g}) periods in the box, expected whole numbers"
            )
        if 2 * max(map(abs, periods)) >= num_points:
            less = f"less than half of the {num_points} points of the grid"
            raise InputError(f"forcing.wavenumber is {self.wavenumber}, expected {less}")
        x = torch.arange(num_points, dtype=torch.float64) * (2 * math.pi / num_points)
        phase = periods[0] * x[:, None] + periods[1] * x[None, :]
        return -self.amplitude * (2 * math.pi * self.wavenumber / domain_extent) * torch.cos(phase)
