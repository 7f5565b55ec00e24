"""Transforms between a grid and the modes that 2/3 dealiasing keeps, times a diagonal operator.

Of a grid of N points the modes |m| <= K with 3 K < N are kept: products of two fields then alias
onto no kept mode (Orszag 1971). A state holds just these M x M modes, M = 2 K + 1, in the order
0..K, -K..-1 along both axes, and each transform along one axis is done for kept lines only. Zeros
beyond the kept modes lie in buffers of which only the kept part is ever written.

The axis of a transform is the first or the last of its input, so that a batch of transforms is one
strided loop, and the result of a transform along the first axis comes back with that axis last:
nothing is transposed. Hence modes are stored as (m_y, m_x) and grids as (x, y).

Two real fields share one complex transform: f + i g, whose real and imaginary parts come apart on
the grid. Linear terms with real even multipliers never mix them.
"""

import torch
from torch import Tensor

# Complex numbers between two lines of a buffer, so that lines of a power of two bytes do not fall
# into the same sets of the cache.
_GAP = 4


class SpectralGrid:
    """Buffers and transforms for P complex fields on N x N points.

    Args:
        num_points: N.
        count: P.
        dtype: complex64 or complex128.
        device: Where the fields lie.
    """

    def __init__(
        self, num_points: int, count: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        N, P, K = num_points, count, (num_points - 1) // 3
        self.num_points, self.highest, self.num_modes = N, K, 2 * K + 1
        self._shape, M = (P, N, N), self.num_modes
        # Both halves of an axis, non-negative and negative: among the kept modes, among all.
        low, high = slice(0, K + 1), slice(N - K, N)
        self._halves = ((low, low), (slice(K + 1, M), high))
        rows = torch.zeros((M, P, N), dtype=dtype, device=device)  # (m_y, P, m_x of all)
        lines = torch.zeros((N, P * N + _GAP), dtype=dtype, device=device)[:, : P * N]
        columns = torch.empty((N, P, M), dtype=dtype, device=device)  # (x, P, m_y)
        self._rows, self._lines, self._columns = rows, lines, columns  # lines: (m_y of all, P x)
        self._rows_halves = [rows.transpose(0, 1)[..., full] for _, full in self._halves]
        self._lines_halves = [(lines[full], kept) for kept, full in self._halves]
        self._columns_halves = [
            (columns[..., kept].transpose(0, 1), full) for kept, full in self._halves
        ]

    def to_grid(self, factor: Tensor, modes: Tensor) -> Tensor:
        """Return the fields (P, x, y) of the modes factor (M, M) x modes (P, M, M)."""
        for (kept, _), half in zip(self._halves, self._rows_halves, strict=True):
            torch.mul(factor[:, kept], modes[..., kept], out=half)
        lines = torch.fft.ifft(self._rows, norm="forward").flatten(1)  # (m_y, P x)
        for half, kept in self._lines_halves:
            half.copy_(lines[kept])
        return torch.fft.ifft(self._lines, dim=0, norm="forward").T.reshape(self._shape)

    def to_modes(self, grid: Tensor, factor: Tensor, out: Tensor, *, add: bool = False) -> None:
        """Write, or add, factor x modes of the fields to `out`.

        Args:
            grid: Complex fields (P, x, y).
            factor: Real, (M, M, 2), the same for real and imaginary parts.
            out: Real and imaginary parts of the modes, (P, M, M, 2).
            add: Whether to add.
        """
        rows = torch.fft.fft(grid, norm="forward")  # (P, x, m_y)
        for half, full in self._columns_halves:
            half.copy_(rows[..., full])
        modes = torch.fft.fft(self._columns, dim=0, norm="forward").permute(1, 2, 0)
        parts = torch.view_as_real(modes)  # (P, m_y, m_x of all, 2)
        for kept, full in self._halves:
            if add:
                out[:, :, kept].addcmul_(factor[:, kept], parts[:, :, full])
            else:
                torch.mul(factor[:, kept], parts[:, :, full], out=out[:, :, kept])

    def integer_wavenumbers(self) -> tuple[Tensor, Tensor]:
        """Return m_x (1, M) and m_y (M, 1) of the kept modes, float64."""
        m = torch.cat([torch.arange(self.highest + 1), torch.arange(-self.highest, 0)])
        m = m.to(torch.float64).to(self._rows.device)
        return m[None, :], m[:, None]
