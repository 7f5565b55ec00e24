"""Advection of vorticity by its own flow, in the form of Basdevant.

    -u . grad omega = -(dxx - dyy)(u v) - dxy (v^2 - u^2),    omega = dv/dx - du/dy

(Basdevant 1983, J. Comput. Phys. 50, 209, eq. 7) needs four transforms instead of five: u and v to
the grid, u v and v^2 - u^2 back. Two engines evaluate it: the one here with torch's transforms, on
any device, and chimera.solver.compiled.advection, several times faster on a processor.

B trajectories, N points a side, M x C kept modes (chimera.solver.spectral_grid).
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from chimera.solver.spectral_grid import SpectralGrid, join_planes


class Engine(Protocol):
    """Advection of a state: real and imaginary parts of modes, (B, 2, M, C)."""

    def __call__(self, state: Tensor, out: Tensor) -> None:
        """Write the tendency -u . grad omega into `out`, of the state's shape."""

    def largest_speed(self, state: Tensor) -> Tensor:
        """Return the largest |u| + |v| on the grid, (B,); NaN where the state is not finite."""


class Multipliers(NamedTuple):
    """The diagonal operators of Basdevant's form, each real, (M, C)."""

    to_u: Tensor  # k_y / k^2: u = i to_u omega
    to_v: Tensor  # -k_x / k^2: v = i to_v omega
    from_uv: Tensor  # k_x^2 - k_y^2, times the modes of u v
    from_squares: Tensor  # k_x k_y, times the modes of v^2 - u^2


def multipliers(grid: SpectralGrid, domain_extent: float, like: Tensor) -> Multipliers:
    """Return the operators on a square of side `domain_extent`, in dtype and device of `like`."""
    k_x, k_y = grid.wavenumbers(domain_extent)
    square = k_x.square() + k_y.square()
    square[0, 0] = 1.0
    operators = k_y / square, -k_x / square, k_x.square() - k_y.square(), k_x * k_y
    return Multipliers(*(operator.to(like) for operator in operators))


class Advection:
    """The engine in torch, for the dtype and device of `state`."""

    def __init__(self, grid: SpectralGrid, domain_extent: float, state: Tensor) -> None:
        self._grid = grid
        operators = multipliers(grid, domain_extent, state)
        self._to_velocity = 1j * torch.stack(operators[:2])  # (2, M, C)
        self._from_products = torch.stack(operators[2:])

    def _velocity(self, state: Tensor) -> Tensor:
        return self._grid.to_grid(self._to_velocity * join_planes(state)[:, None])  # (B, 2, N, N)

    def __call__(self, state: Tensor, out: Tensor) -> None:
        """See `Engine`."""
        u, v = self._velocity(state).unbind(1)
        products = torch.stack([u * v, v.square() - u.square()], dim=1)
        tendency = (self._from_products * self._grid.to_modes(products)).sum(1)
        out[:, 0], out[:, 1] = tendency.real, tendency.imag

    def largest_speed(self, state: Tensor) -> Tensor:
        """See `Engine`."""
        return self._velocity(state).abs().sum(1).amax((-2, -1))
