"""Spectra of fields on a periodic grid, and the errors of a prediction by wavenumber.

    E(k) = sum_{round|m| = k} 1/2 |f_hat(m)|^2,   f_hat(m) = 1/N^2 sum_x f(x) exp(-2 pi i m.x / N)

so that sum_k E(k) = 1/2 mean(f^2) (Parseval). Of a vorticity this is the enstrophy spectrum; its
kinetic energy spectrum divides every mode by |k|^2 = |2 pi m / L|^2 (Boffetta & Ecke 2012,
"Two-dimensional turbulence"). Below the forcing scale a 2D flow follows a power law
E ~ k^s, s = -3 or steeper.

n trajectories, T time, B batch, C channel, N x N space, K shells.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from chimera.fields.bands import (
    coefficients,
    require_equal_shapes,
    wavenumber,
)
from chimera.fields.fourier import shell_sums
from chimera.fields.nrmse import Field, like_field
from chimera.interface.errors import InapplicableError, InputError
from chimera.statistics.resampling.intervals import student_quantile


def energy_spectrum(field: Field) -> Field:
    """Return the isotropic spectrum E(k) of a field; of a vorticity, the enstrophy spectrum.

    Args:
        field: Array or tensor (..., N, N), in any unit.

    Returns:
        (..., K), the square of the field's unit; K = 1 + round(N / sqrt 2) for even N,
        corners included.

    Raises:
        InputError: If the field is not square or not finite.

    Example:
        >>> x = 2 * np.pi * np.arange(8) / 8
        >>> energy_spectrum(np.sin(2 * x)[:, None] + np.zeros(8)).round(6)  # 1/2 mean(sin^2) at k=2
        array([0.  , 0.  , 0.25, 0.  , 0.  , 0.  , 0.  ])
    """
    return like_field(shell_sums(_density(field, "field")), field)


def kinetic_energy_spectrum(vorticity: Field, domain_extent: float = 2 * math.pi) -> Field:
    """Return the spectrum of 1/2 |u|^2 of the flow without mean that has this vorticity.

    Args:
        vorticity: Array or tensor (..., N, N).
        domain_extent: Side L of the square.

    Returns:
        (..., K) with K as for `energy_spectrum`; the sum is 1/2 mean(u^2 + v^2).

    Raises:
        InputError: If the vorticity is not square or not finite.

    Example:
        >>> x = 2 * np.pi * np.arange(8) / 8
        >>> kinetic_energy_spectrum(np.sin(2 * x)[:, None] + np.zeros(8)).round(6)
        array([0.    , 0.    , 0.0625, 0.    , 0.    , 0.    , 0.    ])
    """
    density = _density(vorticity, "vorticity")
    return like_field(shell_sums(density / _square_wavenumber(density, domain_extent)), vorticity)


def _density(field: Field, name: str) -> Tensor:
    """Return 1/2 |f_hat|^2 of every mode."""
    field_hat = coefficients(field, name)
    return 0.5 * (field_hat.real.square() + field_hat.imag.square())


def _square_wavenumber(density: Tensor, domain_extent: float) -> Tensor:
    """Return |k|^2 of every mode; infinity for the mean, for which there is no periodic flow."""
    square = (2 * math.pi / domain_extent * wavenumber(density.shape[-1], density)).square()
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

    The interval is Student's, n - 2 degrees of freedom over n shells: what deviates from a power
    law widens it, the spread between trajectories is for the caller to add.

    Args:
        spectrum: E(k), (K,), from k = 0.
        first_shell: First k of the range, 1 or more.
        last_shell: Last k of the range, below K.
        confidence: Of the interval.

    Raises:
        InputError: If the range holds fewer than three shells, leaves the spectrum, or E is not
            positive and finite in it.

    Example:
        >>> k = np.arange(1, 33)
        >>> spectral_slope(np.concatenate([[0.0], 5.0 * k**-3.0]), 4, 16).value.__round__(6)
        -3.0
    """
    values = np.asarray(spectrum, dtype=np.float64)
    in_order = first_shell >= 1 and first_shell + 2 <= last_shell < values.shape[-1]
    if not in_order:
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


@dataclass(frozen=True)
class RolloutSpectra:
    """Spectra (n, T, K) of a rollout, for every trajectory and frame.

    `energy` is kinetic energy, `enstrophy` half the squared vorticity; `error` is the spectrum of
    prediction - target, which holds what a comparison of two spectra cannot see: the phases.
    """

    energy_prediction: Tensor
    energy_target: Tensor
    energy_error: Tensor
    enstrophy_prediction: Tensor
    enstrophy_target: Tensor
    enstrophy_error: Tensor


def rollout_spectra(
    prediction: Tensor, target: Tensor, domain_extent: float = 2 * math.pi
) -> RolloutSpectra:
    """Return the spectra of predicted and true vorticity over a rollout.

    Args:
        prediction: Vorticity (n, T, N, N), in physical units.
        target: The true frames, of the same shape.
        domain_extent: Side L of the square.

    Raises:
        InputError: If the shapes differ or a field is not square or not finite.

    Example:
        >>> truth = torch.randn(3, 5, 16, 16)
        >>> spectra = rollout_spectra(0.5 * truth, truth)
        >>> bool(torch.allclose(spectra.energy_error, 0.25 * spectra.energy_target))
        True
    """
    require_equal_shapes(prediction, target)
    fields = {"prediction": prediction, "target": target, "error": prediction - target}
    spectra = {}
    for name, field in fields.items():
        density = _density(field, name)
        square = _square_wavenumber(density, domain_extent)
        spectra[f"enstrophy_{name}"] = shell_sums(density)
        spectra[f"energy_{name}"] = shell_sums(density / square)
    return RolloutSpectra(**spectra)


def activation_spectra(activations: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return each site's spectrum, the mean over samples and channels.

    Args:
        activations: For each site (B, C, N, N), as `capture` gives.

    Returns:
        For each site (K,).

    Raises:
        InputError: If a site's activations are not square, not finite, or constant over space.

    Example:
        >>> spectra = activation_spectra({"encoder0": torch.randn(2, 3, 8, 8)})
        >>> spectra["encoder0"].shape
        torch.Size([7])
    """
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
    """Return the mean shell sum_k k E(k) / sum_k E(k) over k >= 1, of a spectrum (K,).

    Example:
        >>> centroid(torch.tensor([9.0, 1.0, 0.0, 1.0]))
        2.0
    """
    k = torch.arange(1, spectrum.shape[-1], dtype=spectrum.dtype, device=spectrum.device)
    return float((k * spectrum[1:]).sum() / spectrum[1:].sum())
