"""Transforms between a grid and the modes that 2/3 dealiasing keeps.

Of a grid of N points the modes |m| <= K with 3 K < N are kept: products of two fields then alias
onto no kept mode (Orszag 1971). A state holds just these (2 K + 1)^2 modes, and each transform
along one axis is done for kept columns only. Every 1-D transform runs along contiguous memory, with
a transposition between the two, so that the grid has y before x.

Two real fields share one complex transform: f + i g, whose real and imaginary parts come apart on
the grid. Linear terms with real even multipliers never mix them.
"""

import torch
from torch import Tensor


class SpectralGrid:
    """Buffers and transforms for `batch` complex fields on N x N points.

    Args:
        num_points: N.
        batch: Complex fields transformed at once.
        dtype: complex64 or complex128.
        device: Where the fields lie.
    """

    def __init__(
        self, num_points: int, batch: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        N, K = num_points, (num_points - 1) // 3
        self.num_points, self.highest, self.num_modes = N, K, 2 * K + 1
        M = self.num_modes
        # Zero beyond the kept modes, always: only kept modes are ever written.
        self._padded_y = torch.zeros((batch, M, N), dtype=dtype, device=device)  # (kx, ky)
        self._padded_x = torch.zeros((batch, N, N), dtype=dtype, device=device)  # (y, kx)
        self._kept = torch.empty((batch, M, N), dtype=dtype, device=device)

    def to_grid(self, modes: Tensor) -> Tensor:
        """Return the field (batch, N, N), y before x, of modes (batch, M, M)."""
        K, N = self.highest, self.num_points
        self._padded_y[..., : K + 1] = modes[..., : K + 1]
        self._padded_y[..., N - K :] = modes[..., K + 1 :]
        columns = torch.fft.ifft(self._padded_y, norm="forward").transpose(-1, -2)  # (y, kx)
        self._padded_x[..., : K + 1] = columns[..., : K + 1]
        self._padded_x[..., N - K :] = columns[..., K + 1 :]
        return torch.fft.ifft(self._padded_x, norm="forward")

    def to_modes(self, grid: Tensor, out: Tensor) -> Tensor:
        """Write the kept modes (batch, M, M) of a field (batch, N, N), y before x, into `out`."""
        K, N = self.highest, self.num_points
        rows = torch.fft.fft(grid, norm="forward").transpose(-1, -2)  # (kx, y)
        self._kept[..., : K + 1, :] = rows[..., : K + 1, :]
        self._kept[..., K + 1 :, :] = rows[..., N - K :, :]
        columns = torch.fft.fft(self._kept, norm="forward")  # (kx, ky)
        out[..., : K + 1] = columns[..., : K + 1]
        out[..., K + 1 :] = columns[..., N - K :]
        return out

    def integer_wavenumbers(self) -> tuple[Tensor, Tensor]:
        """Return m_x (M, 1) and m_y (1, M) of the kept modes, float64."""
        K = self.highest
        m = torch.cat([torch.arange(K + 1), torch.arange(-K, 0)])
        m = m.to(torch.float64).to(self._kept.device)
        return m[:, None], m[None, :]
