"""Spectra of rollouts compared with the target's, and of every site's activations.

For the definition of a spectrum see chimera.probes.spectra.spectrum.

n trajectories, T time, C channel, N x N space, K shells.
"""

import math
from collections.abc import Iterable
from statistics import fmean
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from chimera.fields.bands import (
    BANDS,
    PDEBENCH_EDGES,
    band_products,
    pdebench_frmse,
    well_spectral_mse,
)
from chimera.files.artifacts import Row
from chimera.interface.errors import InapplicableError
from chimera.models.forecasting.stepping import rollout
from chimera.probes.common.activations import capture, evaluation_mode
from chimera.probes.common.subject import Measurement, Subject, Track
from chimera.probes.spectra.settings import SpectraSettings
from chimera.probes.spectra.spectrum import (
    FlowSpectra,
    SpectralErrors,
    activation_spectra,
    centroid,
    cross_spectrum,
    rollout_spectra,
    spectral_errors,
    spectral_slope,
)
from chimera.statistics.resampling.intervals import t_interval


def measure_spectra(
    subject: Subject, settings: SpectraSettings, rng: np.random.Generator, track: Track
) -> Measurement:
    """Compare the spectra of rollouts with those of the target, and measure those of every site.

    The rollout of every trajectory from its first frame counts, unless it diverges. Rows: `axis`,
    `frame` of the rollout (1 for a site), `quantity` (`prediction`,
    `target`, `error` or, for IND, a site), `wavenumber` up to N / 2, and the means over
    trajectories of `energy`, `enstrophy` and `transfer`; for a site, whose activations are no flow,
    both are E(k). The rows of `prediction` have its `energy_error` and `phase_error`, empty where
    the target has no signal (chimera.probes.spectra.spectrum.spectral_errors).

    Returns:
        Statistics of IND (`ind_`) and of the OOD axes together (`ood_`): `slope_target` and
        `slope_prediction`, the exponent of the energy spectrum in the last frame, and the ends
        `_low` and `_high` of its 95% t interval over trajectories; `enstrophy_ratio`, of prediction
        to target in that frame; `error_<band>`, the relative error of that frame by band,
        `energy_error_<band>` and `phase_error_<band>`, means over the trajectories that have a
        signal there, absent if none has; one frame ahead, in physical units, `well_<bin>` and, on
        large enough grids, `pdebench_<band>` and `pdebench_full_<band>`; `centroid_bottleneck`, the
        mean shell of its activations. `diverged` is the number of infinite rollouts,
        `withheld_bands` that of bands of trajectories without a signal, `reported` the share of
        the other bands.

    Raises:
        InputError: If a trajectory is shorter than the settings' frames, or the slope's shells
            exceed the spectrum.
    """
    del rng
    if subject.fields != ("vorticity",):
        raise InapplicableError(f"data.fields is {list(subject.fields)}, expected [vorticity]")
    rows: list[Row] = []
    found: dict[str, list[_Axis]] = {"ind": [], "ood": []}
    for axis, trajectories in track(list(subject.trajectories.items())):
        sites = subject.sites if axis == "ind" else {"bottleneck"} & {*subject.sites}
        result = _measure_axis(subject, trajectories, sites, settings)
        site_rows = result.site_rows if axis == "ind" else []
        rows += [{"axis": axis, **row} for row in site_rows + result.rows]
        found["ind" if axis == "ind" else "ood"].append(result)
    diverged = sum(result.diverged for results in found.values() for result in results)
    count = sum(len(trajectories) for trajectories in subject.trajectories.values())
    silent = sum(result.silent for results in found.values() for result in results)
    lost = diverged + silent / len(BANDS)
    statistics = {"diverged": float(diverged), "withheld_bands": float(silent)}
    statistics["reported"] = 1 - lost / count
    for name, results in found.items():
        kept = [result for result in results if result.rows]
        if not kept:
            continue
        for key in kept[0].means:
            values = [x for result in kept if math.isfinite(x := result.means[key])]
            if values:
                statistics[f"{name}_{key}"] = fmean(values)
        for quantity in ("target", "prediction"):
            slopes = [slope for result in kept for slope in result.slopes[quantity]]
            statistics[f"{name}_slope_{quantity}"] = fmean(slopes)
            if len(slopes) > 1:
                ends = t_interval(slopes)
                statistics[f"{name}_slope_{quantity}_low"] = ends.low
                statistics[f"{name}_slope_{quantity}_high"] = ends.high
    return Measurement(statistics, rows)


class _Axis(NamedTuple):
    """Results for one dataset; only sites if every rollout diverged."""

    site_rows: list[Row]
    diverged: int
    silent: int
    rows: list[Row]
    means: dict[str, float]
    slopes: dict[str, list[float]]


def _measure_axis(
    subject: Subject, trajectories: Tensor, sites: Iterable[str], settings: SpectraSettings
) -> _Axis:
    horizon = settings.frames[-1]
    if trajectories.shape[1] <= horizon:
        raise InapplicableError(
            f"probes.spectra.frames ends with {horizon}, expected less than the "
            f"{trajectories.shape[1]} frames of a trajectory"
        )
    C = len(subject.fields)
    with evaluation_mode(subject.network):
        batches = trajectories[:, 0].split(32)
        predicted = torch.cat([rollout(subject.network, x, horizon)[:, :, :C] for x in batches])
    finite = predicted.flatten(1).isfinite().all(dim=1)
    diverged = int((~finite).sum())
    activations = capture(subject.network, sites, trajectories[:, 0])
    by_site = activation_spectra(activations)
    site_rows = [
        row for site, E in by_site.items() for row in _rows(1, site, FlowSpectra(E, E, 0 * E))
    ]
    if diverged == len(finite):
        return _Axis(site_rows, diverged, 0, [], {}, {})

    prediction, target = (
        (frames[finite] * subject.std + subject.mean).double()
        for frames in (predicted, trajectories[:, 1 : 1 + horizon, :C])
    )  # (n, horizon, C, N, N)
    chosen = [frame - 1 for frame in settings.frames]
    spectra = rollout_spectra(prediction[:, chosen], target[:, chosen], subject.domain_extent)
    rows: list[Row] = []
    cross = cross_spectrum(prediction[:, chosen], target[:, chosen])
    for place, frame in enumerate(settings.frames):
        by_quantity = {  # (n, frames, C, K) each, to (K,)
            quantity: FlowSpectra(*(E[:, place].mean(dim=0).sum(dim=0) for E in flow))
            for quantity, flow in spectra.items()
        }
        shells = spectral_errors(
            by_quantity["prediction"].enstrophy,
            by_quantity["target"].enstrophy,
            cross[:, place].mean(dim=0).sum(dim=0),
        )
        for quantity, flow in by_quantity.items():
            rows += _rows(frame, quantity, flow, shells if quantity == "prediction" else None)
    slopes = {
        quantity: [
            spectral_slope(energy, *settings.slope_shells).value
            for energy in spectra[quantity].energy[:, -1].sum(dim=1).cpu()
        ]
        for quantity in ("target", "prediction")
    }
    means = {f"centroid_{s}": centroid(by_site[s]) for s in ("bottleneck",) if s in by_site}
    last = prediction[:, -1], target[:, -1]
    first = prediction[:, 0], target[:, 0]
    bands = spectral_errors(
        band_products(last[0], last[0]),
        band_products(last[1], last[1]),
        band_products(*last),
    )  # (n, C, 3) each
    ratios = last[0].square().mean(dim=(1, 2, 3)) / last[1].square().mean(dim=(1, 2, 3))
    means["enstrophy_ratio"] = float(ratios.mean())
    errors = {
        "error": bands.total.nanmean(dim=(0, 1)),
        "energy_error": bands.energy.nanmean(dim=(0, 1)),
        "phase_error": bands.phase.nanmean(dim=(0, 1)),
        "well": well_spectral_mse(*first).mean(dim=(0, 1)),
    }
    if prediction.shape[-1] // 2 > PDEBENCH_EDGES[-1]:
        errors["pdebench"] = pdebench_frmse(*first).mean(dim=0)
        errors["pdebench_full"] = pdebench_frmse(*first, full_plane=True).mean(dim=0)
    for name, values in errors.items():
        means |= {f"{name}_{band}": float(v) for band, v in zip(BANDS, values, strict=True)}
    silent = int(bands.total.isnan().any(dim=1).sum())
    return _Axis(site_rows, diverged, silent, rows, means, slopes)


def _rows(
    frame: int,
    quantity: str,
    flow: FlowSpectra,
    errors: SpectralErrors | None = None,
) -> list[Row]:
    """Return a row for each shell up to N / 2; a spectrum has 1 + round(N / sqrt 2)."""

    def known(values: Tensor | None, k: int) -> float | str:
        return "" if values is None or values[k].isnan() else float(values[k])

    return [
        {
            "frame": frame,
            "quantity": quantity,
            "wavenumber": k,
            **{name: float(spectrum[k]) for name, spectrum in flow._asdict().items()},
            "energy_error": known(errors and errors.energy, k),
            "phase_error": known(errors and errors.phase, k),
        }
        for k in range(1 + int((len(flow.energy) - 1) / math.sqrt(2) + 0.5))
    ]
