"""Advection of vorticity by its own flow, in the form of Basdevant.

    -u . grad omega = -(dxx - dyy)(u v) - dxy (v^2 - u^2),    omega = dv/dx - du/dy

(Basdevant 1983, J. Comput. Phys. 50, 209, eq. 7) needs four transforms instead of five: u and v to
the grid, u v and v^2 - u^2 back. In Fourier space u = i k_y / k^2 omega, v = -i k_x / k^2 omega.

P pairs of trajectories, each pair one complex field; N points a side, M kept modes a side.
"""

import math

import torch
from torch import Tensor

from chimera.solver.spectral_grid import SpectralGrid

# Grid points of the pairs that a CPU works on at once: a field of theirs and its transform stay in
# a core's own cache.
_POINTS_AT_ONCE = 2**14


class Advection:
    """The tendency -u . grad omega of all pairs.

    Args:
        num_points: N.
        domain_extent: Side L of the periodic square.
        state: Real and imaginary parts of the modes, (P, m_y, m_x, 2), for its shape and kind.
    """

    def __init__(self, num_points: int, domain_extent: float, state: Tensor) -> None:
        pairs, at_once, dtype = len(state), len(state), state.dtype.to_complex()
        if state.device.type == "cpu":
            at_once = max(1, _POINTS_AT_ONCE // num_points**2)
        blocks = [slice(first, min(first + at_once, pairs)) for first in range(0, pairs, at_once)]
        grids = {
            size: SpectralGrid(num_points, size, dtype, state.device)
            for size in {block.stop - block.start for block in blocks}
        }
        self._blocks = [(block, grids[block.stop - block.start]) for block in blocks]

        m_x, m_y = self._blocks[0][1].integer_wavenumbers()
        unit = 2 * math.pi / domain_extent
        square = m_x.square() + m_y.square()
        square[0, 0] = 1.0
        self._to_u = (1j * m_y / square / unit).to(dtype)  # (M, M)
        self._to_v = (-1j * m_x / square / unit).to(dtype)
        from_uv, from_squares = (m_x.square() - m_y.square()) * unit**2, m_x * m_y * unit**2
        self._from_uv = from_uv.to(state.dtype)[..., None].repeat(1, 1, 2)  # (M, M, 2)
        self._from_squares = from_squares.to(state.dtype)[..., None].repeat(1, 1, 2)

    def _velocity(self, grid: SpectralGrid, state: Tensor) -> tuple[Tensor, Tensor]:
        modes = torch.view_as_complex(state)
        u, v = grid.to_grid(self._to_u, modes), grid.to_grid(self._to_v, modes)
        return torch.view_as_real(u), torch.view_as_real(v)  # (pairs of the block, x, y, 2)

    def __call__(self, state: Tensor, out: Tensor) -> None:
        """Write the tendency of the modes `state` (P, M, M, 2) into `out`."""
        for block, grid in self._blocks:
            u, v = self._velocity(grid, state[block])
            product = torch.view_as_complex(u * v)
            grid.to_modes(product, self._from_uv, out[block])
            squares = torch.view_as_complex(v.square_().addcmul_(u, u, value=-1))
            grid.to_modes(squares, self._from_squares, out[block], add=True)

    def largest_speed(self, state: Tensor) -> Tensor:
        """Return the largest |u| + |v| on the grid, (P, 2), of the modes `state` (P, M, M, 2)."""
        speeds = []
        for block, grid in self._blocks:
            u, v = self._velocity(grid, state[block])
            speeds.append(u.abs_().add_(v.abs_()).amax(dim=(1, 2)))
        return torch.cat(speeds)
