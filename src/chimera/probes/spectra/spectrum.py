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

from chimera.fields.bands import coefficients
from chimera.fields.fourier import derivative, resample, shell_sums, velocity, wavenumber
from chimera.fields.nrmse import Field, like_field
from chimera.interface.errors import InapplicableError, InputError

# Part of the mean over bands or shells below which one of the target has no signal to be compared
# with: an amplitude of 1% for a band, less than networks err one step ahead.
SIGNAL = 3e-4


def energy_spectrum(field: Field) -> Field:
    """Return the isotropic spectrum E(k) of a field; for a vorticity, the enstrophy spectrum.

    It is (..., K) for (..., N, N), K = 1 + round(N / sqrt 2) for even N, in the square of the
    field's unit. A field that is not square or not finite is an InputError.

    >>> x = 2 * np.pi * np.arange(8) / 8
    >>> energy_spectrum(np.sin(2 * x)[:, None] + np.zeros(8)).round(6)  # 1/2 mean(sin^2) at k = 2
    array([0.  , 0.  , 0.25, 0.  , 0.  , 0.  , 0.  ])
    """
    return like_field(shell_sums(_density(field)), field)


def _density(field: Field) -> Tensor:
    """Return 1/2 |f_hat|^2 of every mode."""
    field_hat = coefficients(field, "field")
    return 0.5 * (field_hat.real.square() + field_hat.imag.square())


def spectral_slope(spectrum: ArrayLike, first_shell: int, last_shell: int) -> float:
    """Return s of the fit E ~ k^s over first_shell <= k <= last_shell, least squares in log-log.

    E(k) is (K,), from k = 0, and positive and finite in these shells, or it is an InputError.
    """
    values = np.asarray(spectrum, dtype=np.float64)
    if last_shell >= len(values):
        raise InapplicableError(
            f"the slope's shells are {first_shell} to {last_shell}, expected three or more "
            f"between 1 and {len(values) - 1}"
        )
    k = np.arange(first_shell, last_shell + 1)
    energy = values[k]
    if not (np.isfinite(energy) & (energy > 0)).all():
        raise InputError(
            f"the spectrum has a minimum of {energy.min()} in shells {first_shell} to "
            f"{last_shell}, expected positive finite energies"
        )
    variance, covariance = np.cov(np.log(k), np.log(energy), bias=True)[0]
    return float(covariance / variance)


class FlowSpectra(NamedTuple):
    """Spectra (..., K) of kinetic energy, of half the squared vorticity, and of the transfer.

    The transfer is the energy that advection brings to a shell in a unit of time. It sums to 0.
    """

    energy: Tensor
    enstrophy: Tensor
    transfer: Tensor


def flow_spectra(vorticity: Tensor, domain_extent: float = 2 * math.pi) -> FlowSpectra:
    """Return the spectra of the flow without mean on a square with this vorticity (..., N, N)."""
    density = _density(vorticity)
    square = (2 * math.pi / domain_extent * wavenumber(density)).square()
    square[0, 0] = math.inf  # no periodic flow has this mode
    transfer = shell_sums(_enstrophy_transfer(vorticity, domain_extent) / square)
    return FlowSpectra(shell_sums(density / square), shell_sums(density), transfer)


def _enstrophy_transfer(vorticity: Tensor, domain_extent: float) -> Tensor:
    """Return -Re(conj(w_hat) (u . grad w)_hat) of every mode, the advection dealiased."""
    N = vorticity.shape[-1]
    fine = resample(vorticity, 3 * N // 2)
    u, v = velocity(fine, domain_extent).unbind(-1)
    advection = u * derivative(fine, domain_extent, -2) + v * derivative(fine, domain_extent, -1)
    fields = vorticity, resample(advection, N)
    field_hat, advection_hat = (coefficients(field, "vorticity") for field in fields)
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
