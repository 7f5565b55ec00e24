"""Spearman's rank correlation.

    rho = Pearson's correlation of the ranks, ties at their mean rank         Spearman 1904
    p   = #{permutations of y : |rho*| >= |rho|} / n!                         exact, n <= 8
    p   = the same over permutations within groups, prod n_g! of them         exact, n_g <= 8
    p   = (1 + #{|rho*| >= |rho|}) / (1 + B), B random permutations           D & H, eq. 4.11
    CI  = tanh(atanh(rho) -+ z sqrt((1 + rho^2 / 2) / (n - 3)))               Bonett & Wright 2000

The usual t approximation of p gives 0 for three points in order, where 2 of 6 permutations are as
extreme and p is 1/3. x and y are (n,) each, n >= 2; a constant one has no ranks and is an error.

With groups, ranks are those within each, and rho is of the pooled deviations from their means:
whatever differs between groups alone, such as two models, has no part in it. n in the interval is
then less by the number of further groups.

C. Spearman 1904, Am. J. Psychology 15, 72-101. A. C. Davison & D. V. Hinkley 1997, Bootstrap
Methods and their Application. D. G. Bonett & T. A. Wright 2000, Psychometrika 65, 23-28.
"""

import math
from collections.abc import Hashable, Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike

from chimera.interface.errors import InputError
from chimera.statistics.resampling.intervals import Interval, Rng
from chimera.statistics.resampling.samples import Floats, pair, require_count, require_fraction

Groups = Sequence[Hashable] | None  # of each value, (n,)
Ranks = list[tuple[Floats, Floats]]


class Correlation(NamedTuple):
    """Spearman's rho and its two-sided permutation p."""

    rho: float
    p: float


def spearman(
    x: ArrayLike, y: ArrayLike, *, groups: Groups = None, num_resamples: int = 49_999, rng: Rng = 0
) -> Correlation:
    """Return Spearman's rank correlation, within groups if given, and the p of no association.

    Where n! of each group is at most `num_resamples` (n <= 8 by default) all permutations count,
    and p is exact; otherwise that many, at least 100, are drawn, and the Monte-Carlo standard error
    of p is sqrt(p (1 - p) / num_resamples), at most 0.0022.
    """
    require_count("num_resamples", num_resamples, 100)
    ranks = _varying_ranks(x, y, groups)
    observed = abs(sum(float(a @ b) for a, b in ranks))
    return Correlation(_rho(ranks), _p(observed, ranks, num_resamples, rng))


def smallest_spearman_p(x: ArrayLike, y: ArrayLike, *, groups: Groups = None) -> float:
    """Return the least p that `spearman` can give for these ties, in whatever order they come."""
    ranks = _ranks(x, y, groups)
    if _constant(ranks):  # either, in every group
        return 1.0
    ends = (sum(float(np.sort(a) @ np.sort(sign * b)) for a, b in ranks) for sign in (1, -1))
    return _p(max(ends), ranks)


def spearman_interval(
    x: ArrayLike, y: ArrayLike, confidence: float = 0.95, *, groups: Groups = None
) -> Interval:
    """Return an approximate interval of the population's rank correlation, inside [-1, 1].

    It is all of [-1, 1] for n <= 3, where the approximation has no variance. For a perfect order,
    where it would shrink to a point, the inner end is taken at half the step to the next attainable
    value, 12 / sum of n (n^2 - 1) over groups, and the outer end is 1.
    """
    require_fraction("confidence", confidence)
    ranks = _varying_ranks(x, y, groups)
    n, rho = sum(len(a) for a, _ in ranks) - len(ranks) + 1, _rho(ranks)
    if n <= 3:
        return Interval(-1.0, 1.0)
    largest = 1 - 6 / sum(len(a) ** 3 - len(a) for a, _ in ranks)
    inner = min(max(rho, -largest), largest)
    half = scipy.stats.norm.isf((1 - confidence) / 2) * math.sqrt((1 + inner**2 / 2) / (n - 3))
    low, high = math.tanh(math.atanh(inner) - half), math.tanh(math.atanh(inner) + half)
    return Interval(-1.0 if rho < -largest else low, 1.0 if rho > largest else high)


def _p(observed: float, ranks: Ranks, num_resamples: int = 49_999, rng: Rng = 0) -> float:
    """Return P(|sum over groups of x_rank . y_rank| >= observed), y permuted within each group.

    It depends on the sets of ranks alone. One order and one sign of them make p a function of |rho|
    and of the ties, whatever the order and the sign of the data.
    """
    if any(math.factorial(len(x)) > num_resamples for x, _ in ranks):
        generator = np.random.default_rng(rng)
        drawn = np.zeros(num_resamples)
        for both in ranks:
            x, y = (np.array(min(sorted(side), sorted(-side))) for side in both)
            drawn += generator.permuted(np.tile(x, (num_resamples, 1)), axis=1) @ y
        as_large = int(np.count_nonzero(np.abs(drawn) >= observed))
        return (1 + as_large) / (1 + num_resamples)
    sums, counts = np.zeros(1), np.ones(1)
    for x, y in ranks:  # the distribution of a sum of independent whole numbers, by convolution
        own, times = np.unique(np.array(list(permutations(y))) @ x, return_counts=True)
        sums, place = np.unique(np.add.outer(sums, own), return_inverse=True)
        counts = np.bincount(place.ravel(), np.multiply.outer(counts, times).ravel()).astype(float)
    return float(counts[np.abs(sums) >= observed].sum() / counts.sum())


def _ranks(x: ArrayLike, y: ArrayLike, groups: Groups) -> Ranks:
    """Twice the ranks in each group, centred: whole numbers, so that equal sums tie exactly."""
    sides = pair(x, y, any_size=True)
    n = len(sides[0])
    labels = [0] * n if groups is None else list(groups)
    if len(labels) != n:
        raise InputError(f"'groups' holds {len(labels)} labels, expected one for each of {n} pairs")
    members: dict[Hashable, list[int]] = {}
    for i, label in enumerate(labels):
        members.setdefault(label, []).append(i)
    rows = members.values()
    ranks = ([2 * scipy.stats.rankdata(v[i]) - (len(i) + 1) for i in rows] for v in sides)
    return list(zip(*ranks, strict=True))


def _constant(ranks: Ranks) -> str:
    """Return `x`, or else `y`, where it has one value throughout each group, else nothing."""
    sides = zip("xy", zip(*ranks, strict=True), strict=True)
    return next((name for name, parts in sides if not any(part.any() for part in parts)), "")


def _varying_ranks(x: ArrayLike, y: ArrayLike, groups: Groups) -> Ranks:
    """Return the ranks, and refuse a constant variable."""
    ranks = _ranks(x, y, groups)
    if name := _constant(ranks):
        value = float(np.asarray(x if name == "x" else y)[0])
        where = "throughout" if groups is None else "throughout each group"
        raise InputError(f"{name!r} is {value:g} {where}, expected values to rank")
    return ranks


def _rho(ranks: Ranks) -> float:
    x, y = (np.concatenate(parts) for parts in zip(*ranks, strict=True))
    return float((x @ y) / math.sqrt((x @ x) * (y @ y)))
