"""The engine of the advection on a processor: plans and memory for chimera.solver.compiled.kernels.

A trajectory's velocities, once transformed along x, and all buffers of a transform stay in a core's
own cache: 0.3 MB at N = 128 in float64. One trajectory is done after the other, on one thread.
"""

import numpy as np
import torch
from torch import Tensor

from chimera.solver.advection import multipliers
from chimera.solver.compiled import kernels
from chimera.solver.spectral_grid import SpectralGrid

_LARGEST_RADIX = 8


def covers(grid: SpectralGrid, state: Tensor) -> bool:
    """Return whether this engine can work on such a state; chimera.solver.advection always can.

    A register must fill with columns, and N have no prime factor above 7.
    """
    fits = grid.shape[1] >= kernels.lane_count(state.element_size())
    return state.device.type == "cpu" and fits and max(_radices(grid.num_points)) <= _LARGEST_RADIX


def _radices(num_points: int) -> list[int]:
    """Return the factors of N in order: 8 as often as 4 can do the rest, then 4, then primes."""
    rest, twos = num_points, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    fours = {0: 0, 1: 2, 2: 1}[twos % 3] if twos > 1 else 0
    radices = [8] * ((twos - 2 * fours) // 3) + [4] * fours + [2] * (twos == 1)
    prime = 3
    while rest > 1:
        if rest % prime:
            prime += 2
        else:
            radices.append(prime)
            rest //= prime
    return radices


def plan(num_points: int, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """Return the passes and twiddles of a transform, as kernels.transform takes them.

    A pass of radix r over sequences of n numbers multiplies result k of group p, of n / r groups,
    by w^(p k) with w = exp(-2 i pi / n); where the radix is not 8 or 4, the table holds the whole
    w^((p + j n / r) k), j running over the inputs.
    """
    passes, twiddles, start, length = [], [], 0, num_points
    for radix in _radices(num_points):
        groups = length // radix
        p, k = np.arange(groups)[:, None], np.arange(radix)[None, :]
        whole = (p[..., None] + groups * k) * k[..., None]  # (groups, k, j)
        powers = (p * k)[:, 1:] if radix in (4, 8) else whole
        roots = np.exp(-2j * np.pi * (powers % length) / length).ravel()
        passes.append((radix, start))
        twiddles.append(roots.view(np.float64).astype(dtype))
        start += twiddles[-1].size
        length = groups
    return np.array(passes, dtype=np.int64), np.concatenate(twiddles)


class CompiledAdvection:
    """The engine in compiled code; see chimera.solver.advection.Engine.

    Args:
        grid: Points and modes.
        domain_extent: Side L of the periodic square.
        state: A state (B, 2, M, C), for its size and dtype.
    """

    def __init__(self, grid: SpectralGrid, domain_extent: float, state: Tensor) -> None:
        N, C = grid.num_points, grid.shape[1]
        lanes = kernels.lane_count(state.element_size())
        operators = multipliers(grid, domain_extent, state)
        self._to_velocity = torch.stack(operators[:2]).numpy()
        # Of 2 (u^2 - v^2) and 4 u v, from transforms without the factor 1 / N^2.
        scaled = operators.from_squares / (-2 * N**2), operators.from_uv / (4 * N**2)
        self._from_products = torch.stack(scaled).numpy()

        lines, columns = (-(-size // lanes) * lanes for size in (N, C))
        # torch's memory starts at a multiple of a register.
        planes = state.new_zeros((4, lines, columns)).numpy()
        tile = state.new_zeros((4, columns, lanes)).numpy()
        work = state.new_zeros((2, 2, N, lanes)).numpy()
        self._memory = (planes, tile, work, *plan(N, work.dtype.type))
        self._tendency = kernels.tendency[work.dtype.name]
        self._largest_speeds = kernels.largest_speeds[work.dtype.name]
        self._speeds = state.new_zeros((len(state), 2, lanes))

    def __call__(self, state: Tensor, out: Tensor) -> None:
        """Write the tendency of `state` (B, 2, M, C) into `out`."""
        self._tendency(
            state.numpy(), out.numpy(), self._to_velocity, self._from_products, *self._memory
        )

    def largest_speed(self, state: Tensor) -> Tensor:
        """Return the largest |u| + |v| on the grid, (B,)."""
        self._largest_speeds(state.numpy(), self._speeds.numpy(), self._to_velocity, *self._memory)
        return self._speeds[:, 0].amax(1)
