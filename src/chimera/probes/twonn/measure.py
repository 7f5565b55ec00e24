"""The intrinsic dimension of a network's activations, and of the data, along the network.

Each site's activations over the same squares of the flow are points of a set; its dimension
(chimera.probes.twonn.estimator) tells how many degrees of freedom the site keeps of the flow
(Ansuini et al. 2019, "Intrinsic dimension of data representations in deep neural networks"). An
estimate depends on the number of points: all axes and sites are therefore measured with one number
of samples.

n samples, T time, B batch, C channel, N x N space, D dimensions of a patch.
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
    coarsest_cell,
    draw_samples,
    gather_frames,
    gather_patches,
    site_patches,
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
    """What was found for the points of one site.

    Attributes:
        samples: Number of distinct points.
        duplicates: How many others were left out.
        estimates: Linear, mle and the GRIDE curve; none where too few samples are distinct.
    """

    samples: int
    duplicates: int
    estimates: tuple[Estimate, ...]


def measure_dimension(
    subject: Subject, settings: TwonnSettings, rng: np.random.Generator, track: Track
) -> Measurement:
    """Estimate the dimension at every site, of the input frame and of the increment to the next.

    Rows: `axis`, `site`, `depth` (its place in the network; the data lie before and behind),
    `samples` (distinct), `duplicates`, `decorrelation_time`, `decorrelation_length`, `estimator`,
    `scale`, `dimension` and `sd` over bootstraps. Sites with equal activations have equal rows.

    Returns:
        Statistics by the linear fit: `ind_<place>` and `ood_<place>`, the mean over axes, for the
        places `input`, `bottleneck`, `max` (over sites) and `target`; `ratio_bottleneck`, OOD over
        IND; `ind_bottleneck_bootstrap`, its standard deviation; `samples` of an axis and site;
        `duplicates` among all; `withheld`, how many axes and sites had too few samples.

    Raises:
        InputError: If a flow does not vary, an activation is not finite, or one is constant.
    """
    network = subject.network
    sites = site_names(network)
    side = coarsest_cell(network, next(iter(subject.trajectories.values()))[0, 0])
    drawn = {
        axis: draw_samples(trajectories, side, rng, settings.threshold)
        for axis, trajectories in subject.trajectories.items()
    }
    enough = {axis: samples for axis, samples in drawn.items() if len(samples) >= MIN_SAMPLES}
    count = min([settings.largest_samples, *map(len, (enough or drawn).values())])
    chosen = {axis: thin(samples, count, rng) for axis, samples in enough.items()}
    found: dict[str, dict[str, SiteDimension]] = {}
    rows: list[Row] = []
    for axis in track(list(chosen)):
        patches = _patches(subject, axis, chosen[axis], sites)
        found[axis] = _estimate(patches, chosen[axis], axis, settings, rng)
        for depth, (name, site) in enumerate(found[axis].items(), start=-1):
            rows += [
                {
                    "axis": axis,
                    "site": name,
                    "depth": depth,
                    "samples": site.samples,
                    "duplicates": site.duplicates,
                    "decorrelation_time": chosen[axis].decorrelation.time,
                    "decorrelation_length": chosen[axis].decorrelation.length,
                    **estimate._asdict(),
                }
                for estimate in site.estimates
            ]
    every = [site for axis in found.values() for site in axis.values()]
    statistics = _headlines(found, list(subject.trajectories), sites)
    statistics["samples"] = float(count)
    statistics["duplicates"] = float(sum(site.duplicates for site in every))
    cells = len(subject.trajectories) * (len(sites) + 2)
    statistics["withheld"] = float(cells - sum(bool(site.estimates) for site in every))
    return Measurement(statistics, rows)


def _patches(
    subject: Subject, axis: str, samples: Samples, sites: tuple[str, ...]
) -> dict[str, Tensor]:
    """Return the samples (n, D) of the input, of every site in order, and of the target."""
    trajectories = subject.trajectories[axis]
    frames = gather_frames(trajectories, samples)
    increments = gather_frames(trajectories, samples, later=1) - frames
    return {
        "input": gather_patches(frames, samples),
        **site_patches(subject.network, sites, trajectories, samples),
        "target": gather_patches(increments, samples),
    }


def _estimate(
    patches: Mapping[str, Tensor],
    samples: Samples,
    axis: str,
    settings: TwonnSettings,
    rng: np.random.Generator,
) -> dict[str, SiteDimension]:
    """Estimate each site's dimension, that of equal activations once."""
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
    found: Mapping[str, Mapping[str, SiteDimension]], axes: Sequence[str], sites: Sequence[str]
) -> dict[str, float]:
    """Return the statistics of the linear fit; one that lacks an axis or a site is left out."""
    places = {place: [place] for place in ("input", "bottleneck", "target")} | {"max": [*sites]}
    statistics: dict[str, float] = {}
    for place, names in places.items():
        for group, members in (("ind", axes[:1]), ("ood", axes[1:])):
            held = [
                [found[axis][name].estimates[:1] for name in names if name in found.get(axis, {})]
                for axis in members
            ]
            if held and all(len(of_axis) == len(names) and all(of_axis) for of_axis in held):
                largest = [max(linear.dimension for (linear,) in of_axis) for of_axis in held]
                statistics[f"{group}_{place}"] = float(np.mean(largest))
    if "ind_bottleneck" in statistics:
        (linear,) = found[axes[0]]["bottleneck"].estimates[:1]
        statistics["ind_bottleneck_bootstrap"] = linear.sd
        if "ood_bottleneck" in statistics:
            ratio = statistics["ood_bottleneck"] / statistics["ind_bottleneck"]
            statistics["ratio_bottleneck"] = ratio
    return statistics
