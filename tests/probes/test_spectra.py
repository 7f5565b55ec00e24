"""Spectra against closed forms, Parseval's theorem and the published definitions."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from chimera.fields.bands import band_products
from chimera.fields.fourier import resample, velocity
from chimera.fields.metrics import band_rmse
from chimera.interface.errors import InputError
from chimera.models import build_model
from chimera.probes.common.activations import capture, site_names
from chimera.probes.spectra.spectrum import (
    activation_spectra,
    centroid,
    energy_spectrum,
    flow_spectra,
    spectral_slope,
)
from networks import UNET
from reference_fields import grid, published_fields


def test_fixture_spectrum():
    _, y = published_fields()
    spectrum = energy_spectrum(y)
    assert spectrum.sum() == pytest.approx(0.316287670, abs=1e-6)
    assert spectrum[1] == pytest.approx(0.24931124, abs=1e-6)
    assert spectrum[4] == pytest.approx(0.062040692, abs=1e-6)


@pytest.mark.parametrize("n", [7, 16, 33])
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_parseval(n, kind):
    field = np.random.default_rng(n).standard_normal((2, 3, n, n)).astype(kind) + kind(1)
    spectrum = energy_spectrum(field)
    assert spectrum.dtype == kind
    expected = 0.5 * np.square(field, dtype=np.float64).mean(axis=(-2, -1))
    np.testing.assert_allclose(spectrum.sum(-1), expected, rtol=1e-6)
    tensor = energy_spectrum(torch.from_numpy(field))
    assert torch.equal(tensor, torch.from_numpy(spectrum))


def test_one_wave_lies_in_one_shell():
    X, Y = grid(32)
    spectrum = energy_spectrum(3 * np.cos(3 * X - 4 * Y + 0.7))  # |m| = 5, mean square 9/2
    expected = np.zeros(24)
    expected[5] = 9 / 4
    np.testing.assert_allclose(spectrum, expected, atol=1e-14)


@pytest.mark.parametrize("domain_extent", [2 * math.pi, 5.0])
def test_kinetic_energy_is_that_of_the_velocity(domain_extent):
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(2, 20, 20, generator=generator, dtype=torch.float64)
    vorticity = resample(coarse - coarse.mean(dim=(-2, -1), keepdim=True), 32)
    flow = velocity(vorticity, domain_extent)
    expected = 0.5 * flow.square().sum(-1).mean(dim=(-2, -1))
    spectrum = flow_spectra(vorticity, domain_extent).energy
    torch.testing.assert_close(spectrum.sum(-1), expected, rtol=1e-12, atol=0)
    components = energy_spectrum(flow.movedim(-1, 0)).sum(0)
    torch.testing.assert_close(spectrum, components, rtol=1e-10, atol=1e-15)


def test_kinetic_energy_ignores_the_mean_and_divides_by_k_squared():
    X, _ = grid(16)
    spectrum = flow_spectra(torch.from_numpy(4.0 + np.sin(3 * X))).energy
    expected = np.zeros(12)
    expected[3] = 0.25 / 9
    np.testing.assert_allclose(spectrum, expected, atol=1e-15)


def test_slope_of_a_power_law():
    k = np.arange(40)
    noise = np.random.default_rng(0).normal(0, 0.1, 40)
    spectrum = 7.0 * np.maximum(k, 1) ** -3.5 * np.exp(noise)
    first, last = 5, 20
    fit = stats.linregress(np.log(k[first : last + 1]), np.log(spectrum[first : last + 1]))
    assert spectral_slope(spectrum, first, last) == pytest.approx(fit.slope, rel=1e-10)
    exact = spectral_slope(7.0 * np.maximum(k, 1) ** -3.5, first, last)
    assert exact == pytest.approx(-3.5, abs=1e-6)


def test_slope_outside_the_spectrum():
    with pytest.raises(InputError, match="shells are 5 to 20, expected three or more between 1"):
        spectral_slope(np.ones(20), 5, 20)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
def test_slope_of_what_has_no_logarithm(value):
    spectrum = np.ones(20)
    spectrum[6] = value
    with pytest.raises(InputError, match="expected positive finite energies"):
        spectral_slope(spectrum, 4, 10)


def test_the_spectrum_of_an_error_sees_the_phase():
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(2, 3, 16, 16, generator=generator, dtype=torch.float64)
    target -= target.mean(dim=(-2, -1), keepdim=True)
    shifted = torch.roll(target, 5, dims=-1)
    for found, expected in zip(flow_spectra(shifted), flow_spectra(target), strict=True):
        torch.testing.assert_close(found, expected)
    error = flow_spectra(shifted - target)
    expected = 0.5 * (shifted - target).square().mean(dim=(-2, -1))
    torch.testing.assert_close(error.enstrophy.sum(-1), expected)
    assert error.energy.shape == (2, 3, 12)


def test_bands_are_those_of_band_rmse_and_add_up():
    r = np.random.default_rng(0)
    p, t = r.standard_normal((2, 4, 24, 24))
    bands = band_products(p - t, p - t)
    np.testing.assert_allclose(np.sqrt(bands), np.stack(band_rmse(p, t), -1), rtol=1e-12)
    np.testing.assert_allclose(band_products(p, t).sum(-1), (p * t).mean((-2, -1)), rtol=1e-10)


def test_activation_spectra_of_a_network():
    torch.manual_seed(0)
    model = build_model(UNET | {"channels": [4, 6]})
    activations = capture(model, site_names(model), torch.randn(3, 1, 16, 16))
    spectra = activation_spectra(activations)
    assert list(spectra) == list(activations)
    for name, spectrum in spectra.items():
        mean_square = activations[name].double().square().mean()
        torch.testing.assert_close(spectrum.sum(), 0.5 * mean_square, rtol=1e-6, atol=0)
    assert len(spectra["bottleneck"]) == 1 + round(8 / math.sqrt(2))


def test_centroid_of_waves():
    X, Y = grid(32)
    field = 5 + np.sin(3 * X) + np.sin(9 * Y)  # equal energies; the mean does not count
    assert centroid(energy_spectrum(torch.from_numpy(field))) == pytest.approx(6.0)


def test_bad_fields():
    square, flat = torch.zeros(8, 8), torch.zeros(8, 6)
    with pytest.raises(InputError, match=r"field has shape \(8, 6\), expected \(\.\.\., N, N\)"):
        energy_spectrum(flat)
    with pytest.raises(InputError, match="field holds NaN or infinite values"):
        energy_spectrum(square / 0)
    with pytest.raises(InputError, match=r"field has shape \(8, 6\), expected \(\.\.\., N, N\)"):
        flow_spectra(flat)
    with pytest.raises(InputError, match=r"site 'up0' are constant over space"):
        activation_spectra({"up0": torch.ones(2, 3, 8, 8)})


def test_transfer_conserves_energy_and_vanishes_for_one_shell():
    """Advection moves energy between shells; a flow of one |m| is a steady Euler flow."""
    x = 2 * np.pi * torch.arange(32, dtype=torch.float64) / 32
    one = torch.cos(3 * x)[:, None] + torch.sin(3 * x)[None, :]
    noise = torch.randn(32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    smooth = resample(resample(noise, 16), 32)
    still, mixed = (flow_spectra(f).transfer for f in (one, smooth))
    assert still.abs().max() < 1e-12
    assert mixed.abs().max() > 1e-6
    assert mixed.sum().abs() < 1e-12 * mixed.abs().sum() + 1e-15
