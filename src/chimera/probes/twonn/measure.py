"""The intrinsic dimension of a network's activations, and of the data, along the network.

The activations of each site over the same squares of the flow form a set of points, whose dimension
(chimera.probes.twonn.estimator) is the number of degrees of freedom that the site keeps of the flow
(Ansuini et al. 2019, "Intrinsic dimension of data representations in deep neural networks"). An
estimate depends on the number of points: all axes and sites therefore use one number of samples.

n samples, T time, C channel, N x N space, D dimensions of a patch.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from chimera.files.artifacts import Row
from chimera.interface.errors import InputError
from chimera.probes.common.activations import site_names
from chimera.probes.common.sampling import (
    MIN_SAMPLES,
    Samples,
    all_patches,
    coarsest_cell,
    draw_samples,
    thin,
)
from chimera.probes.common.subject import Measurement, Subject, Track
from chimera.probes.twonn.estimator import (
    bootstrap_sd,
    dimension,
    distinct_neighbors,
    scale_dimension,
)
from chimera.probes.twonn.settings import TwonnSettings


class Estimate(NamedTuple):
    """A dimension by one estimator ("linear", "mle", "gride") at one scale, and its spread."""

    estimator: str
    scale: int
    dimension: float
    sd: float


class SiteDimension(NamedTuple):
    """Result for one axis and site.

    Attributes:
        samples: Number of distinct points.
        duplicates: Number of points left out.
        estimates: Linear, mle and the GRIDE curve; empty if too few samples are distinct.
    """

    samples: int
    duplicates: int
    estimates: tuple[Estimate, ...]


def measure_dimension(
    subject: Subject, settings: TwonnSettings, rng: np.random.Generator, track: Track
) -> Measurement:
    """Estimate the dimension at every site, of the input frame and of the increment to the next.

    Rows: `axis`, `site`, `depth` (its place in the network; `input` before and `target` after all),
    `samples` (distinct), `duplicates`, `decorrelation_time`, `decorrelation_length`, `estimator`,
    `scale`, `dimension` and `sd` over bootstraps. Sites with equal activations have equal rows.

    Returns:
        Statistics by the linear fit: `ind_<place>` and `ood_<place>`, the mean over axes, for the
        places `input`, `bottleneck`, `max` (over sites) and `target`; `ratio_bottleneck`, OOD over
        IND; `ind_bottleneck_bootstrap`, its standard deviation; `samples` of an axis and site;
        `duplicates` in total; `withheld`, the number of axes and sites with too few samples.

    Raises:
        InputError: If a flow does not vary, an activation is not finite, or one is constant.
    """
    flows = {axis: subject.flow(axis) for axis in subject.trajectories}
    sites = site_names(subject.network)
    side = coarsest_cell(subject.network, subject.trajectories["ind"][0, 0])
    drawn = {axis: draw_samples(flows[axis], side, rng, settings.threshold) for axis in flows}
    enough = {axis: samples for axis, samples in drawn.items() if len(samples) >= MIN_SAMPLES}
    count = min([settings.largest_samples, *map(len, (enough or drawn).values())])
    chosen = {axis: thin(samples, count, rng) for axis, samples in enough.items()}
    found: dict[tuple[str, str], SiteDimension] = {}
    rows: list[Row] = []
    for axis in track(list(chosen)):
        samples = chosen[axis]
        patches = all_patches(subject, axis, sites, samples)
        results = _estimate_sites(patches, samples, axis, settings, rng)
        for depth, (site, result) in enumerate(results.items(), start=-1):
            found[axis, site] = result
            rows += [
                {
                    "axis": axis,
                    "site": site,
                    "depth": depth,
                    "samples": result.samples,
                    "duplicates": result.duplicates,
                    "decorrelation_time": samples.decorrelation.time,
                    "decorrelation_length": samples.decorrelation.length,
                    **estimate._asdict(),
                }
                for estimate in result.estimates
            ]
    linear = {cell: result.estimates[0] for cell, result in found.items() if result.estimates}
    statistics = _headlines(linear, list(flows), sites)
    statistics["samples"] = float(count)
    statistics["duplicates"] = float(sum(result.duplicates for result in found.values()))
    statistics["withheld"] = float(len(flows) * (len(sites) + 2) - len(linear))
    return Measurement(statistics, rows)


def _estimate_sites(
    patches: Mapping[str, Tensor],
    samples: Samples,
    axis: str,
    settings: TwonnSettings,
    rng: np.random.Generator,
) -> dict[str, SiteDimension]:
    """Estimate the dimension of each site, once for sites of equal activations."""
    found: dict[str, SiteDimension] = {}
    for site, points in patches.items():
        same = next((name for name in found if torch.equal(patches[name], points)), None)
        try:
            found[site] = found[same] if same else _estimate_points(points, samples, settings, rng)
        except InputError as error:
            raise InputError(f"activations at site {site!r} on {axis}: {error}") from None
    return found


def _estimate_points(
    points: Tensor, samples: Samples, settings: TwonnSettings, rng: np.random.Generator
) -> SiteDimension:
    neighbors = distinct_neighbors(points, 2 * max(1, *settings.scales))
    count, duplicates = len(neighbors.kept), neighbors.duplicates
    if count < MIN_SAMPLES:
        return SiteDimension(count, duplicates, ())
    blocks = samples.trajectory[neighbors.kept]
    estimators = [
        ("linear", 1, partial(dimension, discard_fraction=settings.discard_fraction)),
        ("mle", 1, partial(scale_dimension, scale=1)),
        *(("gride", scale, partial(scale_dimension, scale=scale)) for scale in settings.scales),
    ]
    estimates = []
    for name, scale, estimate in estimators:
        ratios = neighbors.ratios(scale)
        sd = bootstrap_sd(estimate, ratios, blocks, settings.bootstraps, rng)
        estimates.append(Estimate(name, scale, estimate(ratios), sd))
    return SiteDimension(count, duplicates, tuple(estimates))


def _headlines(
    linear: Mapping[tuple[str, str], Estimate], axes: Sequence[str], sites: Sequence[str]
) -> dict[str, float]:
    """Return the statistics of the linear fit for which no axis or site is missing."""
    places = {place: [place] for place in ("input", "bottleneck", "target")} | {"max": [*sites]}
    statistics: dict[str, float] = {}
    for place, names in places.items():
        for group, members in (("ind", axes[:1]), ("ood", axes[1:])):
            cells = [[(axis, name) for name in names] for axis in members]
            if cells and all(cell in linear for of_axis in cells for cell in of_axis):
                largest = [max(linear[cell].dimension for cell in of_axis) for of_axis in cells]
                statistics[f"{group}_{place}"] = float(np.mean(largest))
    if "ind_bottleneck" in statistics:
        statistics["ind_bottleneck_bootstrap"] = linear[axes[0], "bottleneck"].sd
        if "ood_bottleneck" in statistics:
            ratio = statistics["ood_bottleneck"] / statistics["ind_bottleneck"]
            statistics["ratio_bottleneck"] = ratio
    return statistics
