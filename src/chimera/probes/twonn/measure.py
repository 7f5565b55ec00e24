"""The intrinsic dimension of a network's activations, and of the data, along the network.

The activations of each site over the same squares of the flow form a set of points, whose dimension
(chimera.probes.twonn.estimator) is the number of degrees of freedom that the site keeps of the flow
(Ansuini et al. 2019, "Intrinsic dimension of data representations in deep neural networks"). An
estimate depends on the number of points: all axes and sites therefore use one number of samples.

n samples, T time, C channel, N x N space, D dimensions of a patch.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from chimera.files.artifacts import Row
from chimera.interface.errors import InputError
from chimera.probes.common.sampling import MIN_SAMPLES, Samples, all_patches, draw_subject, thin
from chimera.probes.common.subject import Measurement, Subject, Track
from chimera.probes.twonn import estimator
from chimera.probes.twonn.scales import Plateau, cube_curves, find_plateau
from chimera.probes.twonn.settings import TwonnSettings
from chimera.statistics.resampling.samples import Floats


def measure_dimension(
    subject: Subject, settings: TwonnSettings, rng: np.random.Generator, track: Track
) -> Measurement:
    """Estimate the dimension at every site, of the input frame and of the increment to the next.

    Rows: `axis`, `site`, `depth` (its place in the network; `input` before and `target` after all),
    `samples` (distinct), `duplicates`, `decorrelation_time`, `decorrelation_length`, `estimator`
    (`linear`, `mle` or `gride`), `scale`, `dimension`, `sd` over bootstraps, and the plateau of the
    curve over scales (chimera.probes.twonn.scales): `first_scale`, `last_scale` and the range of
    its dimension, `low` to `high`, all 0 where there is none. Sites with equal activations have
    equal rows.

    Statistics by the linear fit: `ind_<place>` and `ood_<place>`, the mean over axes, for the
    places `input`, `bottleneck`, `max` (over sites) and `target`; `ratio_bottleneck`, OOD over
    IND; `ind_bottleneck_bootstrap`, its standard deviation; `plateaus`, the share of axes and
    sites whose curve has one; `samples` of an axis and site; `duplicates` in total; `withheld`,
    the number of axes and sites with too few samples, and `reported`, the share of the others.
    """
    axes = list(subject.trajectories)
    sites = subject.require_sites()
    drawn = {axis: draw_subject(subject, axis, rng, settings.threshold) for axis in axes}
    enough = {axis: samples for axis, samples in drawn.items() if len(samples) >= MIN_SAMPLES}
    count = min([settings.largest_samples, *map(len, (enough or drawn).values())])
    chosen = {axis: thin(samples, count, rng) for axis, samples in enough.items()}
    scales = (1, *settings.scales)
    cubes = cube_curves(count, scales, rng) if enough else np.empty((0, 0))
    duplicates, rows = 0, []
    for axis, samples in track(list(chosen.items())):
        patches = all_patches(subject, axis, sites, samples)
        found: dict[str, tuple[int, list[Row]]] = {}
        for depth, (site, points) in enumerate(patches.items(), start=-1):
            same = next((name for name in found if torch.equal(patches[name], points)), None)
            try:
                found[site] = found[same] if same else _rows(points, samples, cubes, settings, rng)
            except InputError as error:
                raise InputError(f"activations at site {site!r} on {axis}: {error}") from None
            left_out, estimates = found[site]
            duplicates += left_out
            rows += [{"axis": axis, "site": site, "depth": depth, **row} for row in estimates]
    linear = {(row["axis"], row["site"]): row for row in rows if row["estimator"] == "linear"}
    statistics = _headlines(linear, axes, sites)
    if linear:
        statistics["plateaus"] = float(np.mean([row["last_scale"] != 0 for row in linear.values()]))
    total = len(axes) * (len(sites) + 2)
    statistics |= {"samples": float(count), "duplicates": float(duplicates)}
    statistics |= {"withheld": float(total - len(linear)), "reported": len(linear) / total}
    return Measurement(statistics, rows)


def _rows(
    points: Tensor,
    samples: Samples,
    cubes: Floats,
    settings: TwonnSettings,
    rng: np.random.Generator,
) -> tuple[int, list[Row]]:
    """Return the number of duplicates, and a row for each estimate, none of too few points."""
    scales = (1, *settings.scales)
    neighbors = estimator.distinct_neighbors(points, 2 * max(scales))
    count = len(neighbors.kept)
    if count < MIN_SAMPLES:
        return neighbors.duplicates, []
    blocks = samples.trajectory[neighbors.kept]
    estimators = [
        ("linear", 1, partial(estimator.dimension, discard_fraction=settings.discard_fraction)),
        *(
            ("gride" if n > 1 else "mle", n, partial(estimator.scale_dimension, scale=n))
            for n in scales
        ),
    ]
    curve = [estimator.scale_dimension(neighbors.ratios(scale), scale) for scale in scales]
    plateau = find_plateau(curve, scales, cubes) or Plateau(0, 0, 0.0, 0.0)
    lags, counts = samples.decorrelation, Row(samples=count, duplicates=neighbors.duplicates)
    shared = counts | Row(decorrelation_time=lags.time, decorrelation_length=lags.length)
    rows = [
        shared
        | Row(estimator=name, scale=scale, dimension=estimate(ratios := neighbors.ratios(scale)))
        | Row(sd=estimator.bootstrap_sd(estimate, ratios, blocks, settings.bootstraps, rng))
        | plateau._asdict()
        for name, scale, estimate in estimators
    ]
    return neighbors.duplicates, rows


def _headlines(
    linear: Mapping[tuple[str, str], Row], axes: Sequence[str], sites: Sequence[str]
) -> dict[str, float]:
    """Return the statistics of the linear fit for which no axis or site is missing."""
    found = {cell: float(row["dimension"]) for cell, row in linear.items()}
    places = {place: [place] for place in ("input", "bottleneck", "target")} | {"max": [*sites]}
    statistics: dict[str, float] = {}
    for place, names in places.items():
        for group, members in (("ind", axes[:1]), ("ood", axes[1:])):
            if members and all((axis, name) in found for axis in members for name in names):
                largest = [max(found[axis, name] for name in names) for axis in members]
                statistics[f"{group}_{place}"] = float(np.mean(largest))
    if "ind_bottleneck" in statistics:
        statistics["ind_bottleneck_bootstrap"] = float(linear[axes[0], "bottleneck"]["sd"])
        if "ood_bottleneck" in statistics:
            ratio = statistics["ood_bottleneck"] / statistics["ind_bottleneck"]
            statistics["ratio_bottleneck"] = ratio
    return statistics
