"""Mutual information of a site's activations with the input and with the predicted increment.

X is a patch of the normalised input frame, Y the patch of the increment to the next frame at the
same place, T the site's activations over that place, in equally many patches of each trajectory.
I(X; T) and I(T; Y) are in nats, after Shwartz-Ziv & Tishby 2017, arXiv:1703.00810, but

- X and Y are their first d principal components within the axis, as normal scores U;
- T is the prediction of U by a linear decoder that was fitted on the other trajectories, which has
  `linear` information by itself (chimera.probes.ib.projection), as normal scores with noise added:
  the same draw at every site of an axis (Goldfeld et al. 2019, arXiv:1810.05728), since T is a
  function of the input and could otherwise have infinite `information` (KSG).

Both are lower bounds, may rise from site to site, and are no test of the data processing
inequality. A value is withheld if its positive control (chimera.probes.ib.controls) errs by more
than the tolerance. Nothing is estimated from fewer than 200 samples, or from so few trajectories
that they have fewer derangements than there are shuffles.

n trajectories or samples, T time, C channel, N x N space.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from torch import Tensor

from chimera.files.artifacts import Row
from chimera.models.networks.site import Site
from chimera.probes.common.sampling import MIN_SAMPLES, Samples, all_patches, draw_subject
from chimera.probes.common.subject import Measurement, Subject, Track
from chimera.probes.ib import controls
from chimera.probes.ib.projection import LinearInformation, held_out, linear_information
from chimera.probes.ib.settings import IbSettings
from chimera.statistics.resampling.samples import Floats

# Sites that repeat the output of the block before them, unchanged, pooled or expanded.
EDGES = ("skip", "down", "up")
# I(X; T) from the first block on, and I(T; Y) up to the last.
HEADLINES = {"x_t": ("encoder0", "bottleneck", "decoder0"), "t_y": ("bottleneck", "decoder0")}
# A row's `withheld` is an index into these.
REASONS = ("reported", "withheld_control", "withheld_samples", "withheld_trajectories")
REPORTED, WITHHELD_CONTROL, WITHHELD_SAMPLES, WITHHELD_TRAJECTORIES = range(4)


class _Axis(NamedTuple):
    """What the sites of an axis share: patches and random numbers only where it is not withheld.

    `targets` are the sides paired with T, X for `x_t` and Y for `t_y`, and the share of variance
    that they explain. Patches of a site are (n, D), noise for T (n, d).
    """

    name: str
    samples: int
    withheld: int
    patches: Mapping[str, Tensor] = MappingProxyType({})
    targets: Mapping[str, tuple[controls.Target, float]] = MappingProxyType({})
    noise: Floats = np.empty(0)
    draws: controls.Draws = (np.empty(0), np.empty(0))


def measure_information(
    subject: Subject, settings: IbSettings, rng: np.random.Generator, track: Track
) -> Measurement:
    """Estimate I(X; T) and I(T; Y) at every block and fractal column, on every axis.

    Rows: `axis`, `site` (`input` is X itself), `depth` (its place in the network, 0 the input),
    `pair` (`x_t` or `t_y`), `samples`, `dimensions` (of U), `explained`, the fields of Information
    and of LinearInformation, and `withheld`: 0 reported, 1 the control's error is too large, 2 too
    few samples, 3 too few trajectories. With 1 the values are only for inspection; with 2 or 3
    nothing was computed, and every number but `samples` and `depth` is 0.

    Statistics: `<ind or ood>_<x_t or t_y>_<site>` of the first encoder (x_t alone), the bottleneck
    and the last decoder, the mean over OOD axes, absent unless all of these are reported, and
    `..._linear`; `samples`, the fewest of an axis; `reported`, the share of rows;
    `withheld_control`, `withheld_samples` and `withheld_trajectories`, numbers of rows.
    """
    names, modules = subject.require_sites(), dict(subject.network.named_modules())
    edges = {n for n in names if type(modules[n]) is Site and n.startswith(EDGES)}
    sites = ["input", *(name for name in names if name not in edges)]
    rows: list[Row] = []
    for name, depth in track([(a, d) for a in subject.trajectories for d in range(len(sites))]):
        if depth == 0:
            axis = _prepare(subject, name, sites[1:], settings, rng)
        rows += _site_rows(axis, sites[depth], depth, settings)
    return Measurement(_statistics(rows), rows)


def _prepare(
    subject: Subject,
    name: str,
    sites: Sequence[str],
    settings: IbSettings,
    rng: np.random.Generator,
) -> _Axis:
    """Draw samples and all random numbers of an axis; run the network unless it is withheld."""
    samples = draw_subject(subject, name, rng, settings.threshold)
    samples = equal_blocks(samples, settings.largest_samples, rng)
    n, blocks, d = len(samples), len(subject.trajectories[name]), settings.components
    if n < MIN_SAMPLES:
        return _Axis(name, n, WITHHELD_SAMPLES)
    # b! / e is the number of permutations without a fixed point; that of 20 exceeds any setting.
    if round(math.factorial(min(blocks, 20)) / math.e) < settings.shuffles:
        return _Axis(name, n, WITHHELD_TRAJECTORIES)
    patches = all_patches(subject, name, sites, samples)
    targets = {}
    for pair, place, side in (("x_t", "input", "x"), ("t_y", "target", "y")):
        values = patches[place].double().cpu().numpy()
        components, explained = controls.principal_components(values, d, f"{name}'s {side}")
        target = controls.prepare_target(
            controls.normal_scores(components), blocks, settings.shuffles, rng
        )
        targets[pair] = target, explained
    noise = settings.noise * rng.standard_normal((n, d))
    draws = controls.draw_controls(settings.controls, n, d, rng)
    return _Axis(name, n, REPORTED, patches, targets, noise, draws)


def _site_rows(axis: _Axis, site: str, depth: int, settings: IbSettings) -> list[Row]:
    """Return a row for each pair; the input, which is X, has only that of T and Y."""
    pairs = ("t_y",) if site == "input" else tuple(HEADLINES)
    found = {pair: (0, 0.0, controls.Information(), LinearInformation()) for pair in pairs}
    if axis.targets:
        what = f"{axis.name}'s activation at site {site!r}"
        features = controls.standardised(axis.patches[site].double().cpu().numpy(), what)
        targets = [axis.targets[pair] for pair in pairs]
        # One decomposition of the features serves both targets.
        scores = [target.scores for target, _ in targets]
        decoded = held_out(features, np.hstack(scores), targets[0][0].blocks)
        ends = np.cumsum([side.shape[1] for side in scores])
        parts = np.split(decoded, ends[:-1], axis=1)
        for pair, (target, explained), predictions in zip(pairs, targets, parts, strict=True):
            d = predictions.shape[1]
            seen = controls.normal_scores(controls.normal_scores(predictions) + axis.noise[:, :d])
            information = controls.controlled_information(
                target, seen, axis.draws, settings.num_neighbors
            )
            linear = linear_information(target.scores, predictions, target.blocks)
            found[pair] = d, explained, information, linear
    largest = settings.tolerance
    return [
        Row(axis=axis.name, site=site, depth=depth, pair=pair, samples=axis.samples)
        | Row(dimensions=d, explained=explained, **information._asdict(), **linear._asdict())
        | Row(withheld=WITHHELD_CONTROL if information.control_error > largest else axis.withheld)
        for pair, (d, explained, information, linear) in found.items()
    ]


def _statistics(rows: Sequence[Row]) -> dict[str, float]:
    statistics: dict[str, float] = {}
    for kind in ("ind", "ood"):
        of_kind = [row for row in rows if (row["axis"] == "ind") == (kind == "ind")]
        for pair, site in ((pair, site) for pair, sites in HEADLINES.items() for site in sites):
            chosen = [row for row in of_kind if (row["pair"], row["site"]) == (pair, site)]
            if chosen and all(row["withheld"] == REPORTED for row in chosen):
                for column, end in (("information", ""), ("linear", "_linear")):
                    mean = fmean(float(row[column]) for row in chosen)
                    statistics[f"{kind}_{pair}_{site}{end}"] = mean
    statistics["samples"] = float(min(int(row["samples"]) for row in rows))
    counts = Counter(row["withheld"] for row in rows)
    statistics |= {name: float(counts[reason]) for reason, name in enumerate(REASONS)}
    return statistics | {"reported": counts[REPORTED] / len(rows)}


def equal_blocks(samples: Samples, largest: int, rng: np.random.Generator) -> Samples:
    """Keep at most `largest` of the drawn samples, equally many of each trajectory, in their order.

    At least one of each trajectory is kept. All trajectories keep the same places, drawn at random.
    """
    blocks = len(np.unique(samples.trajectory))
    size = len(samples) // blocks
    kept = np.sort(rng.permutation(size)[: max(1, largest // blocks)])
    return samples.take((size * np.arange(blocks)[:, None] + kept).ravel())
