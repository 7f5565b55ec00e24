"""Spectra of fields on a periodic grid, and the errors of a prediction by wavenumber.

    E(k) = sum_{round|m| = k} 1/2 |f_hat(m)|^2,   f_hat(m) = 1/N^2 sum_x f(x) exp(-2 pi i m.x / N)

so that sum_k E(k) = 1/2 mean(f^2) (Parseval). Of a vorticity this is the enstrophy spectrum; its
kinetic energy spectrum divides every mode by |k|^2 = |2 pi m / L|^2 (Boffetta & Ecke 2012,
"Two-dimensional turbulence"). Below the forcing scale a 2D flow follows a power law
E ~ k^s, s = -3 or steeper.

n trajectories, T time, B batch, C channel, N x N space, K shells.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import stats
from torch import Tensor

from chimera.field_metrics import Field
from chimera.fourier import shell_sums
from chimera.interface.errors import InapplicableError, InputError
from chimera.models.forecast import rollout
from chimera.probes.activations import capture, evaluation_mode, site_names
from chimera.probes.band_metrics import (
    BANDS,
    PDEBENCH_EDGES,
    pdebench_frmse,
    spectral_error,
    well_spectral_mse,
)
from chimera.probes.coefficients import coefficients, like, require_equal_shapes, wavenumber
from chimera.probes.settings import SpectraSettings
from chimera.probes.subject import Measurement, Row, Subject, Track
from chimera.statistics import t_interval

FIELDS = ("prediction", "target", "error")


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
    return like(shell_sums(_density(field, "field")), field)


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
    return like(shell_sums(density / _square_wavenumber(density, domain_extent)), vorticity)


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
    fit = stats.linregress(np.log(k), np.log(energy))
    half = stats.t.isf((1 - confidence) / 2, len(k) - 2) * fit.stderr
    return Slope(float(fit.slope), float(fit.slope - half), float(fit.slope + half))


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
        activations: For each site (B, C, N, N), as `chimera.probes.activations.capture` gives.

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


def measure(
    subject: Subject, settings: SpectraSettings, rng: np.random.Generator, track: Track
) -> Measurement:
    """Compare the spectra of rollouts with the truth's, and take those of every site.

    Nothing is drawn: every trajectory's rollout from its first frame counts, unless it ceases to
    be finite. Rows: `axis`, `frame` of the rollout (1 for a site), `quantity` (`prediction`,
    `target`, `error` or, for IND, a site), `wavenumber` up to N / 2, and the means over
    trajectories of `energy` and `enstrophy`; of a site, whose activations have no flow, both are
    E(k).

    Returns:
        Statistics of IND (`ind_`) and of the OOD axes together (`ood_`): `slope_target` and
        `slope_prediction`, the exponent of the energy spectrum in the last frame, and the ends
        `_low` and `_high` of its 95% t interval over trajectories; `error_<band>`, the relative
        error of that frame by band; one frame ahead, in physical units, `well_<bin>` and, on grids
        that have them, `pdebench_<band>` and `pdebench_full_<band>`; `centroid_bottleneck`, the
        mean shell of its activations. `diverged` counts the rollouts that ceased to be finite.

    Raises:
        InputError: If a trajectory is shorter than the frames asked for, or the slope's shells
            leave the spectrum.
    """
    del rng
    rows: list[Row] = []
    found: dict[str, list[_Axis]] = {"ind": [], "ood": []}
    for axis, trajectories in track(list(subject.trajectories.items())):
        result = _measure_axis(subject, trajectories, settings)
        told = [row for row in result.rows if axis == "ind" or row["quantity"] in FIELDS]
        rows += [{"axis": axis, **row} for row in told]
        found["ind" if axis == "ind" else "ood"].append(result)
    statistics = {"diverged": float(sum(r.diverged for results in found.values() for r in results))}
    for name, results in found.items():
        kept = [result for result in results if result.means]
        for key in kept[0].means if kept else ():
            statistics[f"{name}_{key}"] = fmean(result.means[key] for result in kept)
        for quantity in ("target", "prediction") if kept else ():
            slopes = [slope for result in kept for slope in result.slopes[quantity]]
            statistics[f"{name}_slope_{quantity}"] = fmean(slopes)
            if len(slopes) > 1:
                ends = t_interval(slopes)
                statistics[f"{name}_slope_{quantity}_low"] = ends.low
                statistics[f"{name}_slope_{quantity}_high"] = ends.high
    return Measurement(statistics, rows)


@dataclass(frozen=True)
class _Axis:
    """What one dataset gives; no means where no rollout stayed finite."""

    rows: list[Row]
    means: dict[str, float]
    slopes: dict[str, list[float]]
    diverged: int


def _measure_axis(subject: Subject, trajectories: Tensor, settings: SpectraSettings) -> _Axis:
    horizon = settings.frames[-1]
    if trajectories.shape[1] <= horizon:
        raise InapplicableError(
            f"probes.spectra.frames ends with {horizon}, expected less than the "
            f"{trajectories.shape[1]} frames of a trajectory"
        )
    with evaluation_mode(subject.network):
        predicted = torch.cat(
            [rollout(subject.network, frames, horizon) for frames in trajectories[:, 0].split(32)]
        )
    finite = predicted.flatten(1).isfinite().all(dim=1)
    rows: list[Row] = []
    activations = capture(subject.network, site_names(subject.network), trajectories[:, 0])
    by_site = activation_spectra(activations)
    for site, spectrum in by_site.items():
        rows += _rows(1, site, spectrum, spectrum)
    diverged = int((~finite).sum())
    if diverged == len(finite):
        return _Axis(rows, {}, {}, diverged)

    prediction, target = (
        (frames[finite] * subject.std + subject.mean).double()
        for frames in (predicted, trajectories[:, 1 : 1 + horizon])
    )  # (n, horizon, C, N, N)
    chosen = [frame - 1 for frame in settings.frames]
    spectra = rollout_spectra(prediction[:, chosen], target[:, chosen], subject.domain_extent)
    for place, frame in enumerate(settings.frames):
        for quantity in FIELDS:
            energy, enstrophy = (
                getattr(spectra, f"{kind}_{quantity}")[:, place].mean(dim=0).sum(dim=0)
                for kind in ("energy", "enstrophy")
            )
            rows += _rows(frame, quantity, energy, enstrophy)
    slopes = {
        quantity: [
            spectral_slope(energy, *settings.slope_shells).value
            for energy in getattr(spectra, f"energy_{quantity}")[:, -1].sum(dim=1)
        ]
        for quantity in ("target", "prediction")
    }
    means = {f"centroid_{s}": centroid(by_site[s]) for s in ("bottleneck",) if s in by_site}
    last = spectral_error(prediction[:, -1], target[:, -1])  # (n, C, 3)
    means |= _by_name("error", BANDS, last.mean(dim=(0, 1)))
    first = prediction[:, 0], target[:, 0]
    means |= _by_name("well", BANDS, well_spectral_mse(*first).mean(dim=(0, 1)))
    if prediction.shape[-1] // 2 > PDEBENCH_EDGES[-1]:
        for name, full in (("pdebench", False), ("pdebench_full", True)):
            means |= _by_name(name, BANDS, pdebench_frmse(*first, full_plane=full).mean(dim=0))
    return _Axis(rows, means, slopes, diverged)


def _by_name(prefix: str, names: Sequence[str], values: Tensor) -> dict[str, float]:
    return {f"{prefix}_{name}": float(v) for name, v in zip(names, values, strict=True)}


def _rows(frame: int, quantity: str, energy: Tensor, enstrophy: Tensor) -> list[Row]:
    """Return a row for each shell up to N / 2; a spectrum has 1 + round(N / sqrt 2)."""
    shells = range(1 + int((len(energy) - 1) / math.sqrt(2) + 0.5))
    return [
        {
            "frame": frame,
            "quantity": quantity,
            "wavenumber": k,
            "energy": float(energy[k]),
            "enstrophy": float(enstrophy[k]),
        }
        for k in shells
    ]
