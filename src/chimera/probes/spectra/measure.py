"""Spectra of rollouts compared with the target's, and of every site's activations.

For the definition of a spectrum see chimera.probes.spectra.spectrum.

n trajectories, T time, C channel, N x N space, K shells.
"""

import math
from contextlib import suppress
from statistics import fmean
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from chimera.fields.bands import PDEBENCH_EDGES, band_products, pdebench_frmse, well_spectral_mse
from chimera.fields.fourier import BANDS
from chimera.files.artifacts import Row
from chimera.interface.errors import InapplicableError, InputError
from chimera.models.forecasting.stepping import evaluation_mode, rollout
from chimera.probes.common.activations import capture
from chimera.probes.common.subject import Measurement, Subject, Track
from chimera.probes.spectra.settings import SpectraSettings
from chimera.probes.spectra.spectrum import (
    FlowSpectra,
    SpectralErrors,
    activation_spectra,
    centroid,
    cross_spectrum,
    flow_spectra,
    spectral_errors,
    spectral_slope,
)
from chimera.statistics.resampling.intervals import t_interval


def measure_spectra(
    subject: Subject, settings: SpectraSettings, rng: np.random.Generator, track: Track
) -> Measurement:
    """Compare the spectra of rollouts with those of the target, and measure those of every site.

    The rollout of every trajectory from its first frame counts, unless it diverges. Rows: `axis`,
    `frame` of the rollout (1 for a site), `quantity` (`prediction`, `target`, `error` or, for IND,
    a site), `wavenumber` up to N / 2, and the means over trajectories of `energy`, `enstrophy` and
    `transfer`; for a site, whose activations are no flow, both are E(k). The rows of `prediction`
    have its `energy_error` and `phase_error`, empty where the target has no signal.

    Statistics of IND (`ind_`) and of the OOD axes together (`ood_`): `slope_target` and
    `slope_prediction`, the exponent of the energy spectrum in the last frame, and the ends
    `_low` and `_high` of its 95% t interval, over the trajectories with energy in each of its
    shells; `enstrophy_ratio`, of prediction to target in that frame; `error_<band>`, the relative
    error of that frame by band, `energy_error_<band>` and `phase_error_<band>`, means over the
    trajectories that have a signal there, absent if none has; one frame ahead, in physical units,
    `well_<bin>` and, on large enough grids, `pdebench_<band>` and `pdebench_full_<band>`;
    `centroid_bottleneck`, the mean shell of its activations. `diverged` is the number of infinite
    rollouts, `withheld_bands` that of trajectories' bands without signal, `reported` the others'
    share.
    """
    del rng
    if subject.fields != ("vorticity",):
        raise InapplicableError(f"data.fields is {list(subject.fields)}, expected [vorticity]")
    axes = track([*subject.trajectories])
    found = {axis: _measure_axis(subject, axis, settings) for axis in axes}
    diverged = sum(result.diverged for result in found.values())
    count = sum(len(trajectories) for trajectories in subject.trajectories.values())
    silent = sum(result.silent for result in found.values())
    lost = diverged + silent / len(BANDS)
    statistics = {"diverged": float(diverged), "withheld_bands": float(silent)}
    statistics["reported"] = 1 - lost / count
    for name in ("ind", "ood"):
        kept = [of for axis, of in found.items() if axis.startswith(name) and of.means]
        if not kept:
            continue
        for key in kept[0].means:
            values = [x for result in kept if math.isfinite(x := result.means[key])]
            if values:
                statistics[f"{name}_{key}"] = fmean(values)
        for quantity in ("target", "prediction"):
            slopes = [slope for result in kept for slope in result.slopes[quantity]]
            if slopes:
                statistics[f"{name}_slope_{quantity}"] = fmean(slopes)
            with suppress(InputError):  # of one slope, or of slopes without spread
                for end, value in t_interval(slopes)._asdict().items():
                    statistics[f"{name}_slope_{quantity}_{end}"] = value
    rows: list[Row] = [{"axis": axis, **row} for axis, of in found.items() for row in of.rows]
    return Measurement(statistics, rows)


# Share of the energy that a field of float32 may have in a shell by rounding alone.
_ROUNDING = torch.finfo(torch.float32).eps ** 2


class _Axis(NamedTuple):
    """Results for one dataset; no means and slopes if every rollout diverged."""

    diverged: int
    silent: int
    rows: list[Row]
    means: dict[str, float]
    slopes: dict[str, list[float]]


def _measure_axis(subject: Subject, axis: str, settings: SpectraSettings) -> _Axis:
    trajectories, horizon = subject.trajectories[axis], settings.frames[-1]
    if trajectories.shape[1] <= horizon:
        raise InapplicableError(
            f"probes.spectra.frames ends with {horizon}, expected at most "
            f"{trajectories.shape[1] - 1}, the frames that follow the first data.past_frames"
        )
    C, P = len(subject.fields), subject.past_frames
    with evaluation_mode(subject.network):
        batches = trajectories[:, 0].split(32)
        predicted = torch.cat([rollout(subject.network, x, horizon, P)[:, :, :C] for x in batches])
    finite = predicted.flatten(1).isfinite().all(dim=1)
    diverged = int((~finite).sum())
    sites = [site for site in subject.sites if axis == "ind" or site == "bottleneck"]
    by_site = activation_spectra(capture(subject.network, sites, trajectories[:, 0]))
    rows: list[Row] = []
    for site, E in by_site.items() if axis == "ind" else ():
        rows += _rows(1, site, FlowSpectra(E, E, 0 * E))
    if diverged == len(finite):
        return _Axis(diverged, 0, rows, {}, {})

    prediction, target = (
        (frames[finite] * subject.std + subject.mean).double()
        for frames in (predicted, trajectories[:, 1 : 1 + horizon, :C])
    )  # (n, horizon, C, N, N)
    chosen = [frame - 1 for frame in settings.frames]
    shown = {"prediction": prediction[:, chosen], "target": target[:, chosen]}
    shown["error"] = shown["prediction"] - shown["target"]
    spectra = {name: flow_spectra(field, subject.domain_extent) for name, field in shown.items()}
    cross = cross_spectrum(shown["prediction"], shown["target"])
    for place, frame in enumerate(settings.frames):
        by_quantity = {  # (n, frames, C, K) each, to (K,)
            quantity: FlowSpectra(*(E[:, place].mean(dim=0).sum(dim=0) for E in flow))
            for quantity, flow in spectra.items()
        }
        ours, true = (by_quantity[quantity].enstrophy for quantity in ("prediction", "target"))
        shells = spectral_errors(ours, true, cross[:, place].mean(dim=0).sum(dim=0))
        for quantity, flow in by_quantity.items():
            rows += _rows(frame, quantity, flow, shells if quantity == "prediction" else None)
    slopes, fitted = {}, slice(settings.slope_shells[0], settings.slope_shells[1] + 1)
    for quantity in ("target", "prediction"):
        energies = spectra[quantity].energy[:, -1].sum(dim=1).cpu()
        floor = _ROUNDING * energies.sum(dim=1, keepdim=True)
        has_signal = (energies[:, fitted] > floor).all(dim=1).tolist()
        kept = [E for E, has in zip(energies, has_signal, strict=True) if has]
        slopes[quantity] = [spectral_slope(E, *settings.slope_shells) for E in kept]
    means = {f"centroid_{s}": centroid(by_site[s]) for s in ("bottleneck",) if s in by_site}
    first, last = ((prediction[:, frame], target[:, frame]) for frame in (0, -1))
    products = (band_products(a, b) for a, b in (2 * last[:1], 2 * last[1:], last))
    bands = spectral_errors(*products)  # (n, C, 3) each
    ratios = last[0].square().mean(dim=(1, 2, 3)) / last[1].square().mean(dim=(1, 2, 3))
    means["enstrophy_ratio"] = float(ratios.mean())
    names = ("error", "energy_error", "phase_error")
    errors = {name: of.nanmean(dim=(0, 1)) for name, of in zip(names, bands, strict=True)}
    errors["well"] = well_spectral_mse(*first).mean(dim=(0, 1))
    if prediction.shape[-1] // 2 > PDEBENCH_EDGES[-1]:
        errors["pdebench"] = pdebench_frmse(*first).mean(dim=0)
        errors["pdebench_full"] = pdebench_frmse(*first, full_plane=True).mean(dim=0)
    for name, values in errors.items():
        means |= {f"{name}_{band}": float(v) for band, v in zip(BANDS, values, strict=True)}
    silent = int(bands.total.isnan().any(dim=1).sum())
    return _Axis(diverged, silent, rows, means, slopes)


def _rows(
    frame: int, quantity: str, flow: FlowSpectra, errors: SpectralErrors | None = None
) -> list[Row]:
    """Return a row for each shell up to N / 2; a spectrum has 1 + round(N / sqrt 2)."""

    def known(values: Tensor | None, k: int) -> float | str:
        return "" if values is None or values[k].isnan() else float(values[k])

    return [
        Row(frame=frame, quantity=quantity, wavenumber=k)
        | {name: float(spectrum[k]) for name, spectrum in flow._asdict().items()}
        | Row(energy_error=known(errors and errors.energy, k))
        | Row(phase_error=known(errors and errors.phase, k))
        for k in range(1 + int((len(flow.energy) - 1) / math.sqrt(2) + 0.5))
    ]
