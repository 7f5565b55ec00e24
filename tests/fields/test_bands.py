"""The published band errors against their libraries and definitions."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from the_well.benchmark.metrics.spectral import binned_spectral_mse

from chimera.fields.bands import (
    band_products,
    coefficients,
    pdebench_frmse,
    well_spectral_mse,
)
from chimera.interface.errors import InputError
from reference_fields import grid, published_fields


def test_fixture_published_metrics():
    p, y = published_fields()
    assert pdebench_frmse(p, y) == pytest.approx([0.0251768, 0.000551546, 0.00214654], abs=1e-6)
    assert well_spectral_mse(p, y) == pytest.approx(
        [1.994219e-2, 5.029143e-3, 1.314590e-3], abs=1e-6
    )


@pytest.mark.parametrize("n", [16, 32, 64, 256])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_the_well_agrees(n, kind):
    generator = torch.Generator().manual_seed(n)
    p, t = torch.randn(2, 3, n, n, 2, generator=generator, dtype=kind)  # channels last
    theirs = binned_spectral_mse.eval(p, t, SimpleNamespace(n_spatial_dims=2))
    expected = torch.stack([theirs[f"spectral_error_mse_per_bin_{i}"] for i in range(3)], -1)
    ours = well_spectral_mse(p.movedim(-1, 1), t.movedim(-1, 1))
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-6)
    mse = (p - t).square().mean(dim=(1, 2))
    torch.testing.assert_close(ours.sum(-1), mse, rtol=1e-5, atol=0)


def frmse_by_its_definition(p, t, full_plane):
    """Takamoto et al. 2022, appendix B, one mode at a time, for (B, C, n, n)."""
    n = p.shape[-1]
    power = np.abs(np.fft.fftn(p - t, axes=(-2, -1))) ** 2
    shells = np.zeros((*p.shape[:2], n // 2))
    for i in range(n):
        for j in range(n):
            a, b = (i, j) if not full_plane else (min(i, n - i), min(j, n - j))
            inside = full_plane or (i < n // 2 and j < n // 2)
            k = math.isqrt(a * a + b * b)
            if inside and k < n // 2:
                shells[:, :, k] += power[:, :, i, j]
    root = np.sqrt(shells.mean(axis=0)) / n**2
    return np.stack([root[:, b].mean(-1) for b in (slice(4), slice(4, 12), slice(12, None))], -1)


@pytest.mark.parametrize("full_plane", [False, True])
@pytest.mark.parametrize("n", [26, 32])
def test_pdebench_agrees(n, full_plane):
    r = np.random.default_rng(0)
    p, t = r.standard_normal((2, 3, 2, n, n))
    expected = frmse_by_its_definition(p, t, full_plane)
    np.testing.assert_allclose(pdebench_frmse(p, t, full_plane), expected, rtol=1e-10)


def test_the_full_plane_sees_all_directions():
    """cos(3x + sign 2y) of amplitude 1 has two modes of 1/2 in shell 3, one in the quadrant."""
    X, Y = grid(64)
    zero = np.zeros((64, 64))
    for sign in (1, -1):
        wave = np.cos(3 * X + sign * 2 * Y)
        full = pdebench_frmse(wave, zero, full_plane=True)
        assert full == pytest.approx([math.sqrt(0.5) / 4, 0, 0], abs=1e-12)
        quadrant = pdebench_frmse(wave, zero)
        assert quadrant == pytest.approx([0.5 / 4 if sign > 0 else 0, 0, 0], abs=1e-12)


def test_fields_too_small_for_the_bands():
    with pytest.raises(InputError, match="24 x 24 cells, expected more than 24"):
        pdebench_frmse(torch.zeros(24, 24), torch.zeros(24, 24))


@pytest.mark.parametrize("metric", [pdebench_frmse, well_spectral_mse])
def test_bad_fields(metric):
    field = torch.zeros(32, 32)
    with pytest.raises(InputError, match=r"shape \(32, 32\) and .* shape \(32, 30\), expected"):
        metric(field, field[:, :30])
    with pytest.raises(InputError, match="prediction - target holds NaN or infinite values"):
        metric(field / 0, field)


@pytest.mark.parametrize("metric", [band_products, pdebench_frmse, well_spectral_mse])
def test_fields_of_other_numbers(metric):
    """Differences of bytes are not taken modulo 256; half floats are computed in float32."""
    p, t = np.random.default_rng(3).integers(0, 256, (2, 32, 32), dtype=np.uint8)
    expected = metric(p.astype(float), t.astype(float))
    np.testing.assert_array_equal(metric(p, t), expected)
    half = [torch.from_numpy(field / 256).half() for field in (p, t)]
    torch.testing.assert_close(metric(*half), metric(*[field.float() for field in half]))
    for bad in (p + 1j, p > t):
        with pytest.raises(InputError, match=r"of shape \(32, 32\), expected real numbers"):
            metric(bad, bad)


def test_coefficients_of_views():
    field = np.random.default_rng(4).standard_normal((16, 16))
    view = coefficients(field[::-1, ::-1], "field")
    np.testing.assert_allclose(view, np.fft.fft2(field[::-1, ::-1]) / 256, atol=1e-15)
    fixed = np.broadcast_to(field[0], (16, 16))  # not writable
    np.testing.assert_allclose(coefficients(fixed, "field"), np.fft.fft2(fixed) / 256, atol=1e-15)


@pytest.mark.parametrize(
    ("m_x", "m_y", "band"), [(1, 0, 0), (1, -1, 0), (0, 2, 1), (-4, 3, 1), (0, 6, 2), (7, 7, 2)]
)
def test_products_of_a_wave_lie_in_its_band(m_x, m_y, band):
    """On 16 points the edges are at |m| = 2 and 6; <cos^2> is 1/2."""
    X, Y = grid(16)
    wave = np.cos(m_x * X + m_y * Y)
    expected = np.zeros(3)
    expected[band] = 0.5
    np.testing.assert_allclose(band_products(wave, wave), expected, atol=1e-12)
    np.testing.assert_allclose(band_products(3 * wave, wave), 3 * expected, atol=1e-12)
