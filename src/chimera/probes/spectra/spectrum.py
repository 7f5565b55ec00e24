"""Spectra of fields on a periodic grid, and the errors of a prediction by wavenumber.

    E(k) = sum_{round|m| = k} 1/2 |f_hat(m)|^2,   f_hat(m) = 1/N^2 sum_x f(x) exp(-2 pi i m.x / N)

so that sum_k E(k) = 1/2 mean(f^2) (Parseval). For a vorticity this is the enstrophy spectrum; the
kinetic energy spectrum divides every mode by |k|^2 = |2 pi m / L|^2 (Boffetta & Ecke 2012,
"Two-dimensional turbulence"). Below the forcing scale a 2D flow follows a power law E ~ k^s,
s = -3 or steeper.

n trajectories, T time, B batch, C channel, N x N space, K shells.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from chimera.fields.bands import coefficients, require_equal_shapes
from chimera.fields.fourier import derivative, resample, shell_sums, velocity, wavenumber
from chimera.fields.nrmse import Field, like_field
from chimera.interface.errors import InapplicableError, InputError
from chimera.statistics.resampling.intervals import student_quantile

# Part of the mean over bands or shells below which one of the target has no signal to be compared
# with: an amplitude of 1% for a band, less than networks err one step ahead.
SIGNAL = 3e-4


def energy_spectrum(field: Field) -> Field:
    """Return the isotropic spectrum E(k) of a field; for a vorticity, the enstrophy spectrum.

    Args:
        field: Array or tensor (..., N, N).

    Returns:
        (..., K), in the square of the field's unit; K = 1 + round(N / sqrt 2) for even N.

    Raises:
        InputError: If the field is not square or not finite.

    Example:
        >>> x = 2 * np.pi * np.arange(8) / 8
        >>> energy_spectrum(np.sin(2 * x)[:, None] + np.zeros(8)).round(6)  # 1/2 mean(sin^2) at k=2
        array([0.  , 0.  , 0.25, 0.  , 0.  , 0.  , 0.  ])
    """
    return like_field(shell_sums(_density(field, "field")), field)


def kinetic_energy_spectrum(vorticity: Field, domain_extent: float = 2 * math.pi) -> Field:
    """Return the spectrum (..., K) of 1/2 |u|^2 of the flow without mean that has this vorticity.

    The vorticity is (..., N, N) on a square of side `domain_extent`; errors as `energy_spectrum`.
    """
    density = _density(vorticity, "vorticity")
    return like_field(shell_sums(density / _square_wavenumber(density, domain_extent)), vorticity)


def _density(field: Field, name: str) -> Tensor:
    """Return 1/2 |f_hat|^2 of every mode."""
    field_hat = coefficients(field, name)
    return 0.5 * (field_hat.real.square() + field_hat.imag.square())


def _square_wavenumber(density: Tensor, domain_extent: float) -> Tensor:
    """Return |k|^2 of every mode; infinity for the mean, which no periodic flow has."""
    square = (2 * math.pi / domain_extent * wavenumber(density)).square()
    square[0, 0] = math.inf
    return square


class Slope(NamedTuple):
    """Exponent s of E ~ k^s and the ends of its confidence interval."""

    value: float
    low: float
    high: float


def spectral_slope(
    spectrum: ArrayLike, first_shell: int, last_shell: int, confidence: float = 0.95
) -> Slope:
    """Fit E ~ k^s over first_shell <= k <= last_shell by least squares in log-log.

    E(k) is (K,), from k = 0. Student's t interval has n - 2 degrees of freedom for n shells: it
    includes the deviation from a power law, but not the spread between trajectories.

    Raises:
        InputError: If the range has fewer than three shells, exceeds 1 to K - 1, or E is not
            positive and finite in it.
    """
    values = np.asarray(spectrum, dtype=np.float64)
    if not 1 <= first_shell <= last_shell - 2 or last_shell >= values.shape[-1]:
        raise InapplicableError(
            f"the slope's shells are {first_shell} to {last_shell}, expected three or more "
            f"between 1 and {values.shape[-1] - 1}"
        )
    k = np.arange(first_shell, last_shell + 1)
    energy = values[k]
    if not (np.isfinite(energy) & (energy > 0)).all():
        raise InputError(
            f"the spectrum has a minimum of {energy.min()} in shells {first_shell} to "
            f"{last_shell}, expected positive finite energies"
        )
    (var_k, cov), (_, var_energy) = np.cov(np.log(k), np.log(energy), bias=True)
    slope, r = cov / var_k, cov / np.sqrt(var_k * var_energy)
    error = np.sqrt(max(1 - r**2, 0) * var_energy / var_k / (len(k) - 2))
    half = student_quantile(confidence, len(k) - 2) * error
    return Slope(float(slope), float(slope - half), float(slope + half))


class FlowSpectra(NamedTuple):
    """Spectra (..., K) of kinetic energy, of half the squared vorticity, and of the transfer.

    The transfer is the energy that advection brings to a shell in a unit of time. It sums to 0.
    """

    energy: Tensor
    enstrophy: Tensor
    transfer: Tensor


def rollout_spectra(
    prediction: Tensor, target: Tensor, domain_extent: float = 2 * math.pi
) -> dict[str, FlowSpectra]:
    """Return the spectra of a rollout's `prediction`, of its `target` and of their difference.

    The spectrum of this `error` includes the phases, which the other two do not show. Both are
    vorticity (..., N, N) in physical units; errors as `energy_spectrum`.
    """
    require_equal_shapes(prediction, target)
    fields = {"prediction": prediction, "target": target, "error": prediction - target}
    spectra = {}
    for name, field in fields.items():
        density = _density(field, name)
        square = _square_wavenumber(density, domain_extent)
        transfer = shell_sums(_enstrophy_transfer(field, domain_extent) / square)
        spectra[name] = FlowSpectra(shell_sums(density / square), shell_sums(density), transfer)
    return spectra


def _enstrophy_transfer(vorticity: Tensor, domain_extent: float) -> Tensor:
    """Return -Re(conj(w_hat) (u . grad w)_hat) of every mode, the advection dealiased."""
    N = vorticity.shape[-1]
    fine = resample(vorticity, 3 * N // 2)
    u, v = velocity(fine, domain_extent).unbind(-1)
    advection = u * derivative(fine, domain_extent, -2) + v * derivative(fine, domain_extent, -1)
    field_hat, advection_hat = (
        coefficients(x, "vorticity") for x in (vorticity, resample(advection, N))
    )
    return -(field_hat.conj() * advection_hat).real


class SpectralErrors(NamedTuple):
    """Errors (..., 3) in the low, mid and high band, NaN where the target has no signal.

    With r the ratio of the prediction's enstrophy to the target's, `energy` is r - 1 and `phase`
    1 - <prediction, target> / (|prediction| |target|): 0 for equal phases, 1 for unrelated ones.
    The relative error in `total` follows from both, total^2 = (sqrt(r) - 1)^2 + 2 sqrt(r) phase.
    """

    total: Tensor
    energy: Tensor
    phase: Tensor


def spectral_errors(predicted: Tensor, target: Tensor, product: Tensor) -> SpectralErrors:
    """Return the errors of bands or shells of <prediction^2>, <target^2> and their product.

    A band has a signal where it holds at least SIGNAL of the target's mean over the last dimension.
    """
    signal = target >= SIGNAL * target.mean(dim=-1, keepdim=True)
    known = torch.where(signal & (target > 0), target, math.nan)
    ratio = predicted / known
    likeness = product / (predicted * known).sqrt().clamp(min=torch.finfo(known.dtype).tiny)
    total = (predicted + target - 2 * product).clamp(min=0) / known
    return SpectralErrors(total.sqrt(), ratio - 1, 1 - likeness)


def cross_spectrum(a: Tensor, b: Tensor) -> Tensor:
    """Return 1/2 Re(conj(a_hat) b_hat) summed over shells, (..., K); that of a and a is E(k)."""
    a_hat, b_hat = coefficients(a, "a"), coefficients(b, "b")
    return shell_sums(0.5 * (a_hat.conj() * b_hat).real)


def activation_spectra(activations: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return each site's spectrum (K,), the mean over samples and channels of (B, C, N, N)."""
    spectra = {}
    for name, activation in activations.items():
        deviation = activation - activation.mean(dim=(-2, -1), keepdim=True)
        if not deviation.any():
            raise InputError(
                f"activations at site {name!r} are constant over space, expected some structure: "
                "their spectrum is empty"
            )
        spectra[name] = energy_spectrum(activation.double()).mean(dim=(0, 1))
    return spectra


def centroid(spectrum: Tensor) -> float:
    """Return the mean shell sum_k k E(k) / sum_k E(k) over k >= 1, of a spectrum (K,)."""
    k = torch.arange(1, spectrum.shape[-1], dtype=spectrum.dtype, device=spectrum.device)
    return float((k * spectrum[1:]).sum() / spectrum[1:].sum())
