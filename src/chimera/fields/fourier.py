"""Fourier representation of fields on a periodic square of side L.

    f(x_j) = sum_m f_hat[m] exp(i k_m . x_j),    k_m = 2 pi m / L,    x_j = j L / N.

A field (..., N, N) has x along its second-last axis and y along its last. Velocity (u, v) and
vorticity obey omega = dv/dx - du/dy; with the stream function psi, (u, v) = (dpsi/dy, -dpsi/dx) and
omega = -laplacian psi (Canuto et al. 2006, "Spectral methods", section 3.4).
"""

import math
from itertools import pairwise

import torch
from torch import Tensor

from chimera.interface.errors import InapplicableError

BANDS = ("low", "mid", "high")
BAND_EDGES = (0.0, 0.25, 0.75, math.inf)  # of |m|, in units of N / 2


def integer_wavenumbers(num_points: int, field: Tensor) -> tuple[Tensor, Tensor]:
    """Return m_x (N, 1) and m_y (1, N // 2 + 1) in rfft2's order, as `field`'s real dtype."""
    kind = {"dtype": field.real.dtype, "device": field.device}
    m_x = torch.fft.fftfreq(num_points, 1 / num_points, **kind)
    m_y = torch.fft.rfftfreq(num_points, 1 / num_points, **kind)
    return m_x[:, None], m_y[None, :]


def wavenumber(field_hat: Tensor) -> Tensor:
    """Return |m| of every mode, (N, N) in fft2's order, in the real dtype of the coefficients."""
    N, real = field_hat.shape[-1], field_hat.real
    m = torch.fft.fftfreq(N, 1 / N, dtype=real.dtype, device=real.device)
    return (m[:, None].square() + m[None, :].square()).sqrt()


def derivative(field: Tensor, domain_extent: float, axis: int) -> Tensor:
    """Return d field / dx (axis -2) or d field / dy (axis -1) of a field (..., N, N)."""
    N = field.shape[-1]
    m = integer_wavenumbers(N, field)[0 if axis == -2 else 1]
    m = torch.where(m.abs() * 2 == N, 0.0, m)  # the Nyquist mode has no derivative on the grid
    field_hat = torch.fft.rfft2(field) * (2j * math.pi / domain_extent * m)
    return torch.fft.irfft2(field_hat, s=(N, N))


def axis_derivative(field: Tensor, length: float, axis: int) -> Tensor:
    """Return the `derivative` of a field (..., H, W) along the only axis that need be periodic."""
    N = field.shape[axis]
    m = torch.fft.rfftfreq(N, 1 / N, dtype=field.dtype, device=field.device)
    m = torch.where(m * 2 == N, 0.0, m)
    shape = [-1 if a == axis else 1 for a in (-2, -1)]
    field_hat = torch.fft.rfft(field, dim=axis) * (2j * math.pi / length * m).reshape(shape)
    return torch.fft.irfft(field_hat, n=N, dim=axis)


def velocity(vorticity: Tensor, domain_extent: float) -> Tensor:
    """Return the velocity (..., N, N, 2) of the modes |m| < N / 2 of a vorticity (..., N, N)."""
    N = vorticity.shape[-1]
    m_x, m_y = integer_wavenumbers(N, vorticity)
    square = m_x.square() + m_y.square()
    square[0, 0] = 1.0
    psi_hat = torch.fft.rfft2(vorticity) / square * (domain_extent / (2 * math.pi)) ** 2
    psi = torch.fft.irfft2(psi_hat * (square < (N / 2) ** 2), s=(N, N))
    u, v = derivative(psi, domain_extent, -1), -derivative(psi, domain_extent, -2)
    return torch.stack([u, v], dim=-1)


def resample(field: Tensor, num_points: int) -> Tensor:
    """Return a field (..., N, N) on a grid of num_points^2 with all modes that both grids resolve.

    Exact for a field whose |m_x| and |m_y| are below half of the smaller grid's points.
    """
    N, n = field.shape[-1], num_points
    if n == N:
        return field
    half = (min(n, N) + 1) // 2
    field_hat = torch.fft.rfft2(field, norm="forward")
    resampled = field_hat.new_zeros((*field.shape[:-2], n, n // 2 + 1))
    resampled[..., :half, :half] = field_hat[..., :half, :half]
    if half > 1:
        resampled[..., n - half + 1 :, :half] = field_hat[..., N - half + 1 :, :half]
    return torch.fft.irfft2(resampled, s=(n, n), norm="forward")


def band_sums(density: Tensor, position: Tensor, edges: tuple[float, ...]) -> Tensor:
    """Sum a density (..., H, W) over the modes whose position (H, W) is between two edges."""
    bands = [(position >= low) & (position < high) for low, high in pairwise(edges)]
    return torch.stack([(density * inside).sum(dim=(-2, -1)) for inside in bands], dim=-1)


def shell_sums(density: Tensor) -> Tensor:
    """Sum a density (..., N, N) in fft2's order over the shells of rounded |m|, from 0.

    This is the isotropic spectrum (..., 1 + K), K the largest rounded |m|, N / sqrt 2 for even N.
    """
    N = density.shape[-1]
    if density.shape[-2] != N:
        raise InapplicableError(f"density has shape {tuple(density.shape)}, expected (..., N, N)")
    shell = wavenumber(density.double()).round().long().flatten()
    sums = density.new_zeros((*density.shape[:-2], int(shell.max()) + 1))
    return sums.index_add(-1, shell, density.flatten(-2))
