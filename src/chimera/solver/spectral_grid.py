"""Transforms between a grid and the modes that 2/3 dealiasing keeps.

On a grid of N points the modes |m| <= K with 3 K < N are kept: no product of two fields is then
aliased onto a kept mode (Orszag 1971). Fields are real, so that modes of negative m_y follow from
the others, and a state holds M x C of them: m_x in the order 0..K, -K..-1 (M = 2 K + 1), m_y from 0
to K (C = K + 1). A transform along one axis is computed for kept lines only.
"""

import math

import torch
from torch import Tensor


class SpectralGrid:
    """N x N points, and M x C modes."""

    def __init__(self, num_points: int) -> None:
        self.num_points, self.highest = num_points, (num_points - 1) // 3  # N, K
        self.shape = (2 * self.highest + 1, self.highest + 1)  # (M, C)

    def to_grid(self, modes: Tensor) -> Tensor:
        """Return the fields (..., N, N) of complex modes (..., M, C)."""
        N, K = self.num_points, self.highest
        columns = modes.new_zeros((*modes.shape[:-2], N, K + 1))
        columns[..., : K + 1, :] = modes[..., : K + 1, :]
        columns[..., N - K :, :] = modes[..., K + 1 :, :]
        lines = torch.fft.ifft(columns, dim=-2, norm="forward")
        return torch.fft.irfft(lines, n=N, norm="forward")

    def to_modes(self, fields: Tensor) -> Tensor:
        """Return the complex modes (..., M, C) of fields (..., N, N)."""
        N, K = self.num_points, self.highest
        lines = torch.fft.rfft(fields, norm="forward")[..., : K + 1]
        columns = torch.fft.fft(lines, dim=-2, norm="forward")
        return torch.cat([columns[..., : K + 1, :], columns[..., N - K :, :]], dim=-2)

    def wavenumbers(self, domain_extent: float) -> tuple[Tensor, Tensor]:
        """Return k_x (M, 1) and k_y (1, C) on a square of side `domain_extent`, float64."""
        m = torch.arange(self.highest + 1, dtype=torch.float64)
        unit = 2 * math.pi / domain_extent
        return torch.cat([m, -m[1:].flip(0)])[:, None] * unit, m[None, :] * unit


def join_planes(planes: Tensor) -> Tensor:
    """Return complex modes (B, M, C) from their real and imaginary parts (B, 2, M, C)."""
    return torch.complex(planes[:, 0], planes[:, 1])


def split_planes(modes: Tensor) -> Tensor:
    """Return the real and imaginary parts (B, 2, M, C) of complex modes (B, M, C)."""
    return torch.stack([modes.real, modes.imag], dim=1)
