"""The advection on a processor: plans and memory for chimera.solver.compiled.kernels.

A trajectory's velocities, once transformed along x, and all buffers of a transform fit in a core's
own cache: 0.3 MB at N = 128 in float64. Trajectories are computed one by one on one thread.
"""

import numpy as np
import torch
from torch import Tensor

from chimera.solver.advection import multipliers
from chimera.solver.compiled import kernels
from chimera.solver.spectral_grid import SpectralGrid

_MAX_RADIX = 8


def covers(grid: SpectralGrid, state: Tensor) -> bool:
    """Return whether a register can be filled with columns and N has no prime factor above 7."""
    fits = grid.shape[1] >= kernels.lane_count(state.element_size())
    return state.device.type == "cpu" and fits and max(_radices(grid.num_points)) <= _MAX_RADIX


def _radices(num_points: int) -> list[int]:
    """Return the factors of N: as many 8 as possible if the other twos make up 4, then primes."""
    twos = (num_points & -num_points).bit_length() - 1
    fours = {0: 0, 1: 2, 2: 1}[twos % 3] if twos > 1 else 0
    radices = [8] * ((twos - 2 * fours) // 3) + [4] * fours + [2] * (twos == 1)
    rest = num_points >> twos
    for prime in range(3, rest + 1, 2):
        while rest % prime == 0:
            radices.append(prime)
            rest //= prime
    return radices


def plan_transform(num_points: int, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """Return the passes and twiddles of kernels.transform.

    A pass of radix r over sequences of n numbers multiplies result k of group p, of n / r groups,
    by w^(p k) with w = exp(-2 i pi / n). For radices other than 8 and 4 the table also includes the
    transform itself: w^((p + j n / r) k) for input j.
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
    """The compiled engine, for the shape and dtype of `state`; see chimera.solver.advection."""

    def __init__(self, grid: SpectralGrid, domain_extent: float, state: Tensor) -> None:
        N, C = grid.num_points, grid.shape[1]
        lanes = kernels.lane_count(state.element_size())
        operators = multipliers(grid, domain_extent, state)
        self._to_velocity = torch.stack(operators[:2]).numpy()
        # For 2 (u^2 - v^2) and 4 u v, whose transforms lack the factor 1 / N^2.
        scaled = operators.from_squares / (-2 * N**2), operators.from_uv / (4 * N**2)
        self._from_products = torch.stack(scaled).numpy()

        lines, columns = (-(-size // lanes) * lanes for size in (N, C))
        # torch's memory starts at a multiple of a register.
        planes = state.new_zeros((4, lines, columns)).numpy()
        tile = state.new_zeros((4, columns, lanes)).numpy()
        work = state.new_zeros((2, 2, N, lanes)).numpy()
        self._memory = (planes, tile, work, *plan_transform(N, work.dtype.type))
        self._tendency = kernels.tendency[work.dtype.name]
        self._largest_speeds = kernels.largest_speeds[work.dtype.name]
        self._speeds = state.new_zeros((len(state), 2, lanes))

    def __call__(self, state: Tensor, out: Tensor) -> None:
        """See `Engine`."""
        operators = self._to_velocity, self._from_products
        self._tendency(state.numpy(), out.numpy(), *operators, *self._memory)

    def largest_speed(self, state: Tensor) -> Tensor:
        """See `Engine`."""
        self._largest_speeds(state.numpy(), self._speeds.numpy(), self._to_velocity, *self._memory)
        return self._speeds[:, 0].amax(1)
