"""Fourier operations on fields against the closed forms of single waves."""

import math

import pytest
import torch

from chimera.fields.fourier import (
    axis_derivative,
    derivative,
    integer_wavenumbers,
    resample,
    shell_sums,
    velocity,
)
from chimera.interface.errors import InapplicableError


def axes(H, W, extents=(1.0, 1.0)):
    """Return x (H, 1) and y (1, W) of a periodic box of these sides."""
    x, y = (
        torch.arange(n, dtype=torch.float64) * (e / n) for n, e in zip((H, W), extents, strict=True)
    )
    return x[:, None], y[None, :]


def wave(N, m_x, m_y, shape=torch.cos, extent=1.0):
    """Return shape(k . x) with m_x and m_y periods in the box."""
    x, y = axes(N, N, (extent, extent))
    return shape(2 * math.pi / extent * (m_x * x + m_y * y))


def test_wavenumbers_are_in_the_order_of_the_real_transform():
    m_x, m_y = integer_wavenumbers(6, torch.zeros(1, dtype=torch.complex128))
    assert m_x.tolist() == [[0], [1], [2], [-3], [-2], [-1]]
    assert m_y.tolist() == [[0, 1, 2, 3]]
    assert m_x.dtype == m_y.dtype == torch.float64
    m_x, m_y = integer_wavenumbers(5, torch.zeros(1, dtype=torch.float32))
    assert m_x.flatten().tolist() == [0, 1, 2, -2, -1]
    assert m_y.flatten().tolist() == [0, 1, 2]
    assert m_x.dtype == torch.float32


@pytest.mark.parametrize("extent", [2 * math.pi, 3.0])
@pytest.mark.parametrize("N", [15, 16])
def test_derivative_of_a_wave(N, extent):
    """d cos(k . x) / dx = -k_x sin(k . x), on a batch of fields."""
    fields = torch.stack([wave(N, 2, -3, extent=extent), wave(N, 1, 4, extent=extent)])
    sines = torch.stack([wave(N, 2, -3, torch.sin, extent), wave(N, 1, 4, torch.sin, extent)]) * (
        2 * math.pi / extent
    )
    m_x, m_y = (torch.tensor(m)[:, None, None] for m in ((2, 1), (-3, 4)))
    torch.testing.assert_close(derivative(fields, extent, -2), -m_x * sines)
    torch.testing.assert_close(derivative(fields, extent, -1), -m_y * sines)


def test_the_nyquist_mode_has_no_derivative():
    N = 8
    along_x, along_y = wave(N, N // 2, 1), wave(N, 1, N // 2)
    for field, axis, m in ((along_x, -2, (4, 1)), (along_y, -1, (1, 4))):
        assert float(derivative(field, 1.0, axis).abs().max()) < 1e-12
        assert float(axis_derivative(field, 1.0, axis).abs().max()) < 1e-12
        other = -3 - axis
        slope = -2 * math.pi * wave(N, *m, torch.sin)
        torch.testing.assert_close(derivative(field, 1.0, other), slope, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize(("H", "W"), [(8, 12), (9, 7)])
def test_derivative_along_one_axis_of_a_rectangle(H, W):
    x, y = axes(H, W, (2.0, 5.0))
    k_x, k_y = 2 * math.pi * 3 / 2.0, 2 * math.pi * 2 / 5.0
    field = (torch.sin(k_x * x) * torch.cos(k_y * y)).expand(4, H, W)
    torch.testing.assert_close(
        axis_derivative(field, 2.0, -2),
        (k_x * torch.cos(k_x * x) * torch.cos(k_y * y)).expand(4, H, W),
    )
    torch.testing.assert_close(
        axis_derivative(field, 5.0, -1),
        (-k_y * torch.sin(k_x * x) * torch.sin(k_y * y)).expand(4, H, W),
    )


@pytest.mark.parametrize("extent", [2 * math.pi, 3.0])
@pytest.mark.parametrize(("m_x", "m_y"), [(1, 0), (0, 2), (-3, 2), (5, 6)])
def test_velocity_of_a_wave(extent, m_x, m_y):
    """psi = cos(k . x) / k^2: u = dpsi/dy = -k_y sin / k^2 and v = -dpsi/dx = k_x sin / k^2."""
    k_x, k_y = 2 * math.pi / extent * m_x, 2 * math.pi / extent * m_y
    sine = wave(16, m_x, m_y, torch.sin, extent) / (k_x**2 + k_y**2)
    fields = torch.stack([wave(16, m_x, m_y, extent=extent)] * 2)
    expected = torch.stack([-k_y * sine, k_x * sine], dim=-1).expand(2, 16, 16, 2)
    torch.testing.assert_close(velocity(fields, extent), expected)


@pytest.mark.parametrize(("m_x", "m_y"), [(8, 0), (0, 8), (6, 6), (-7, 4)])
def test_velocity_leaves_out_modes_from_the_nyquist_wavenumber_on(m_x, m_y):
    assert float(velocity(wave(16, m_x, m_y), 1.0).abs().max()) < 1e-12


@pytest.mark.parametrize(("N", "n"), [(16, 8), (8, 16), (9, 16), (16, 9), (9, 15), (15, 9)])
@pytest.mark.parametrize(("m_x", "m_y"), [(0, 0), (1, 0), (0, 3), (-3, 2), (3, 3), (2, -3)])
def test_resampling_is_exact_below_half_of_the_smaller_grid(N, n, m_x, m_y):
    fields = torch.stack([wave(N, m_x, m_y), wave(N, m_x, m_y, torch.sin)])
    expected = torch.stack([wave(n, m_x, m_y), wave(n, m_x, m_y, torch.sin)])
    torch.testing.assert_close(resample(fields, n), expected)


def test_resampling_keeps_the_highest_mode_of_an_odd_grid():
    torch.testing.assert_close(resample(wave(9, 4, -4), 16), wave(16, 4, -4))
    torch.testing.assert_close(resample(wave(16, -4, 4), 9), wave(9, -4, 4))


@pytest.mark.parametrize(("m_x", "m_y"), [(4, 0), (0, 4), (-4, 3), (3, 5), (5, 5)])
def test_resampling_drops_what_the_smaller_grid_does_not_resolve(m_x, m_y):
    assert float(resample(wave(16, m_x, m_y), 8).abs().max()) < 1e-12


def test_resampling_to_two_points_leaves_the_mean():
    field = 0.5 + wave(8, 1, 0) + wave(8, -1, 0) + wave(8, 0, 1) + wave(8, 1, 1)
    torch.testing.assert_close(resample(field, 2), torch.full((2, 2), 0.5, dtype=torch.float64))
    assert resample(field, 8) is field


def test_shells_hold_what_rounds_to_them():
    """On 8 points |m| goes up to 4 sqrt 2 = 5.66, which rounds to 6."""
    density = torch.zeros(2, 8, 8, dtype=torch.float64)
    density[0, 0, 0], density[0, 1, 1], density[0, 0, 7] = 1.0, 2.0, 4.0  # |m| = 0, 1.41, 1
    density[0, 6, 1], density[0, 4, 4] = 8.0, 16.0  # |m| = sqrt 5 = 2.24 and 5.66
    density[1, 0, 4] = 32.0
    assert shell_sums(density).tolist() == [[1, 6, 8, 0, 0, 0, 16], [0, 0, 0, 0, 32, 0, 0]]


def test_shells_need_a_square():
    with pytest.raises(InapplicableError, match=r"shape \(4, 8\), expected \(..., N, N\)"):
        shell_sums(torch.zeros(4, 8))
