"""How much a site's activations say of the input, and of what the network has to predict.

    I(X; T) and I(T; Y) in nats, after Shwartz-Ziv & Tishby 2017, arXiv:1703.00810

X is a patch of the normalised input frame, Y the patch of the increment to the next frame at the
same place, T the site's activations over that place; by chimera.probes.ib.ksg. What they mean:

- Samples are patches, a decorrelation time and length apart, as many of each trajectory; n is
  their number. The variables are those of a patch drawn at random, place and frame included.
- Each side is standardised by feature and reduced to its first d principal components, within the
  axis: kNN cannot see strong dependence in many dimensions. What is measured is the information
  between these components. It bounds that between whole patches from below; between sites it may
  rise with depth, and it is no test of the data processing inequality. `explained` is the part of
  T's variance that they hold. Axes have components of their own.
- T is a function of the network's whole input, and could have infinite information about it. Noise
  of a stated standard deviation, relative to that of each component, is added to T and to nothing
  else, the same draw at every site of an axis: I(X; T) is what can be read of X through a channel
  of that noise (Goldfeld et al. 2019, arXiv:1810.05728), and depends on it. X and Y keep theirs.
- A value is withheld where the positive control of the same n, d and canonical correlations errs by
  more than the tolerance: because it saturates, or because the information is so small that an
  estimate scatters by more than that part of it; p tells whether there is any. Nothing is estimated
  from fewer than 200 samples, or from so few trajectories that these can be exchanged in fewer ways
  than there are shuffles. See chimera.probes.ib.controls.

n trajectories, T time, C channel, N x N space.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import fmean

import numpy as np
from torch import Tensor

from chimera.files.artifacts import Row
from chimera.probes.common.activations import site_names
from chimera.probes.common.sampling import (
    MIN_SAMPLES,
    Samples,
    coarsest_cell,
    draw_samples,
    gather_frames,
    gather_patches,
    site_patches,
)
from chimera.probes.common.subject import Measurement, Subject, Track
from chimera.probes.ib.controls import (
    Information,
    block_orders,
    judged_information,
    principal_components,
)
from chimera.probes.ib.ksg import Ranked, rank
from chimera.probes.ib.settings import IbSettings
from chimera.statistics.resampling.samples import Floats, Integers

# Edges carry what the block before them gives, as it is, pooled or expanded.
EDGES = ("skip", "down", "up")
INPUT = "input"
PAIRS = ("x_t", "t_y")

# The first block is where X is left behind, the last where Y is arrived at.
HEADLINES = (
    ("x_t", "encoder0"),
    ("x_t", "bottleneck"),
    ("x_t", "decoder0"),
    ("t_y", "bottleneck"),
    ("t_y", "decoder0"),
)

REPORTED, WITHHELD_CONTROL, WITHHELD_SAMPLES, WITHHELD_TRAJECTORIES = range(4)
REASONS = {
    "reported": REPORTED,
    "withheld_control": WITHHELD_CONTROL,
    "withheld_samples": WITHHELD_SAMPLES,
    "withheld_trajectories": WITHHELD_TRAJECTORIES,
}
NOTHING = Information(*[0.0] * len(fields(Information)))


@dataclass(frozen=True)
class _Ground:
    """What all sites of an axis share, and their activations.

    Attributes:
        x: Components of X.
        y: Components of Y.
        patches: Of each site, (n, D).
        noise: Added to the components of T, (n, d).
        orders: Shuffles, (B, n).
        draws: Of the controls, (controls, 2, n, d).
    """

    x: Ranked
    y: Ranked
    patches: Mapping[str, Tensor]
    noise: Floats
    orders: Integers
    draws: Floats


@dataclass(frozen=True)
class _Axis:
    """An axis, its number of samples, and what to measure on or why nothing can be measured."""

    name: str
    samples: int
    withheld: int
    ground: _Ground | None = None


def measure_information(
    subject: Subject, settings: IbSettings, rng: np.random.Generator, track: Track
) -> Measurement:
    """Estimate I(X; T) and I(T; Y) at every block and fractal column, on every axis.

    Rows: `axis`, `site` (`input` is X itself), `depth` (its place in the network, 0 the input),
    `pair` (`x_t` or `t_y`), `samples`, `dimensions` (of T), `explained`, Information's fields, and
    `withheld`: 0 reported, 1 the control errs too much, 2 too few samples, 3 too few trajectories.
    Where it is 1 the value is there to be looked at, not to be believed; where it is 2 or 3 nothing
    was computed, and every number but `samples` and `depth` is 0.

    Returns:
        Statistics: `<ind or ood>_<x_t or t_y>_<site>` of the first encoder (x_t alone), the
        bottleneck and the last decoder, the mean over OOD axes, absent unless each of these is
        reported; `samples`, the fewest of an axis; `reported`, `withheld_control`,
        `withheld_samples` and `withheld_trajectories`, numbers of rows.

    Raises:
        InputError: If a site's activations are constant or not finite, or frames are so few that no
            sample can be drawn.
    """
    names = site_names(subject.network)
    sites = [INPUT, *(name for name in names if not name.startswith(EDGES))]
    side = coarsest_cell(subject.network, subject.trajectories["ind"][0, 0])
    rows: list[Row] = []
    axis = None
    for name, depth in track(
        [(axis, i) for axis in subject.trajectories for i in range(len(sites))]
    ):
        if axis is None or axis.name != name:
            axis = _prepare(subject, name, sites[1:], side, settings, rng)
        rows += _site_rows(axis, sites[depth], depth, settings)
    return Measurement(_statistics(rows), rows)


def _prepare(
    subject: Subject,
    name: str,
    sites: Sequence[str],
    side: int,
    settings: IbSettings,
    rng: np.random.Generator,
) -> _Axis:
    """Draw samples and all random numbers of an axis; the activations only if they are of use."""
    trajectories = subject.trajectories[name]
    samples = draw_samples(trajectories, side, rng, settings.threshold)
    samples = equal_blocks(samples, settings.largest_samples, rng)
    n, blocks = len(samples), len(trajectories)
    if n < MIN_SAMPLES:
        return _Axis(name, n, WITHHELD_SAMPLES)
    if count_derangements(blocks) < settings.shuffles:
        return _Axis(name, n, WITHHELD_TRAJECTORIES)
    now, later = (gather_frames(trajectories, samples, later) for later in (0, 1))
    patches = {INPUT: gather_patches(now, samples)}
    target = gather_patches(later - now, samples)
    patches |= site_patches(subject.network, sites, trajectories, samples)
    sides = {"x": patches[INPUT], "y": target}
    ranked = {
        of: rank(principal_components(_array(values), settings.components, f"{name}'s {of}").scores)
        for of, values in sides.items()
    }
    return _Axis(
        name,
        n,
        REPORTED,
        _Ground(
            ranked["x"],
            ranked["y"],
            patches,
            noise=settings.noise * rng.standard_normal((n, settings.components)),
            orders=block_orders(blocks, n // blocks, settings.shuffles, rng),
            draws=rng.standard_normal((settings.controls, 2, n, settings.components)),
        ),
    )


def _site_rows(axis: _Axis, site: str, depth: int, settings: IbSettings) -> list[Row]:
    """Return the rows of both pairs; of the input, which is X, that of T and Y alone."""
    pairs = [pair for pair in PAIRS if site != INPUT or pair == "t_y"]
    ground = axis.ground
    if ground is None:
        return [_row(axis, site, depth, pair, axis.withheld) for pair in pairs]
    name = f"{axis.name}'s activation at site {site!r}"
    kept = principal_components(_array(ground.patches[site]), settings.components, name)
    d = kept.scores.shape[1]
    t = rank(kept.scores + ground.noise[:, :d])
    rows = []
    for pair in pairs:
        other = ground.x if pair == "x_t" else ground.y
        found = judged_information(other, t, ground.orders, ground.draws, settings.num_neighbors)
        withheld = WITHHELD_CONTROL if found.control_error > settings.tolerance else REPORTED
        rows.append(_row(axis, site, depth, pair, withheld, d, kept.explained, found))
    return rows


def _row(
    axis: _Axis,
    site: str,
    depth: int,
    pair: str,
    withheld: int,
    dimensions: int = 0,
    explained: float = 0.0,
    found: Information = NOTHING,
) -> Row:
    return {
        "axis": axis.name,
        "site": site,
        "depth": depth,
        "pair": pair,
        "samples": axis.samples,
        "dimensions": dimensions,
        "explained": explained,
        **asdict(found),
        "withheld": withheld,
    }


def _statistics(rows: Sequence[Row]) -> dict[str, float]:
    statistics: dict[str, float] = {}
    by_kind: dict[str, list[Row]] = {"ind": [], "ood": []}
    for row in rows:
        by_kind["ind" if row["axis"] == "ind" else "ood"].append(row)
    for kind, of_kind in by_kind.items():
        for pair, site in HEADLINES:
            chosen = [row for row in of_kind if (row["pair"], row["site"]) == (pair, site)]
            if chosen and all(row["withheld"] == REPORTED for row in chosen):
                mean = fmean(float(row["information"]) for row in chosen)
                statistics[f"{kind}_{pair}_{site}"] = mean
    statistics["samples"] = float(min(int(row["samples"]) for row in rows))
    counts = Counter(row["withheld"] for row in rows)
    return statistics | {name: float(counts[reason]) for name, reason in REASONS.items()}


def equal_blocks(samples: Samples, largest: int, rng: np.random.Generator) -> Samples:
    """Keep at most `largest` samples, as many of each trajectory, drawn evenly, in their order.

    Args:
        samples: As `draw_samples` gives them: by trajectory, as many of each.
        largest: Most samples; one of each trajectory is kept at least.
        rng: Draws which places within a trajectory are kept.

    Example:
        >>> import torch
        >>> noise, rng = torch.randn(3, 5, 1, 16, 16), np.random.default_rng(0)
        >>> np.bincount(equal_blocks(draw_samples(noise, 8, rng), 20, rng).trajectory).tolist()
        [6, 6, 6]
    """
    blocks = len(np.unique(samples.trajectory))
    size = len(samples) // blocks
    kept = np.sort(rng.permutation(size)[: max(1, largest // blocks)])
    return samples.take((size * np.arange(blocks)[:, None] + kept).ravel())


def count_derangements(count: int) -> int:
    """Return the number of permutations that leave nothing in its place.

    >>> [count_derangements(n) for n in range(7)]
    [1, 0, 1, 2, 9, 44, 265]
    """
    derangements = 1
    for n in range(1, count + 1):
        derangements = n * derangements + (-1) ** n
    return derangements


def _array(patches: Tensor) -> Floats:
    return patches.double().cpu().numpy()
