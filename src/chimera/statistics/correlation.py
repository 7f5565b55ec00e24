"""Spearman's rank correlation.

    rho = Pearson's correlation of the ranks, ties at their mean rank         Spearman 1904
    p   = #{permutations of y : |rho*| >= |rho|} / n!                         exact, n <= 8
    p   = (1 + #{|rho*| >= |rho|}) / (1 + B), B random permutations           D & H, eq. 4.11
    CI  = tanh(atanh(rho) -+ z sqrt((1 + rho^2 / 2) / (n - 3)))               Bonett & Wright 2000

The usual t approximation of p gives 0 for three points in order, where 2 of 6 permutations are as
extreme and p is 1/3. x and y are (n,) each, n >= 2; a constant one has no ranks and is an error.

C. Spearman 1904, Am. J. Psychology 15, 72-101. A. C. Davison & D. V. Hinkley 1997, Bootstrap
Methods and their Application. D. G. Bonett & T. A. Wright 2000, Psychometrika 65, 23-28.
"""

import math
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike

from chimera.interface.errors import InputError
from chimera.statistics.resampling.intervals import Interval, Rng
from chimera.statistics.resampling.samples import Floats, pair, require_count, require_fraction


class Correlation(NamedTuple):
    """Spearman's rho and its two-sided permutation p."""

    rho: float
    p: float


def spearman(
    x: ArrayLike, y: ArrayLike, *, num_resamples: int = 49_999, rng: Rng = 0
) -> Correlation:
    """Return Spearman's rank correlation and the p of no association.

    Where n! is at most `num_resamples` (n <= 8 by default) all permutations are visited, and p is
    exact; otherwise that many, at least 100, are drawn, and the Monte-Carlo standard error of p is
    sqrt(p (1 - p) / num_resamples), at most 0.0022.
    """
    require_count("num_resamples", num_resamples, 100)
    x_rank, y_rank = _ranks(x, y)
    observed = abs(x_rank @ y_rank)
    # The null distribution depends on the sets of ranks alone. One order and one sign of them make
    # p a function of |rho| and of the ties, whatever the order and the sign of the data.
    x_set, y_set = _without_order_or_sign(x_rank), _without_order_or_sign(y_rank)

    def association(permuted: Floats, axis: int = -1) -> Floats:
        return np.abs((permuted * y_set).sum(axis=axis))

    null = scipy.stats.permutation_test(
        (x_set,), association, permutation_type="pairings", n_resamples=num_resamples, rng=rng
    ).null_distribution
    as_large = np.count_nonzero(null >= observed)
    drawn = len(null) < math.factorial(len(x_set))
    return Correlation(_rho(x_rank, y_rank), (as_large + drawn) / (len(null) + drawn))


def spearman_interval(x: ArrayLike, y: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return an approximate interval of the population's rank correlation, inside [-1, 1].

    It is all of [-1, 1] for n <= 3, where the approximation has no variance. For a perfect order,
    where it would shrink to a point, the inner end is taken at half the step 12 / (n (n^2 - 1))
    between attainable values inside, and the outer end is 1.
    """
    require_fraction("confidence", confidence)
    x_rank, y_rank = _ranks(x, y)
    n, rho = len(x_rank), _rho(x_rank, y_rank)
    if n <= 3:
        return Interval(-1.0, 1.0)
    largest = 1 - 6 / (n * (n**2 - 1))
    inner = min(max(rho, -largest), largest)
    half = scipy.stats.norm.isf((1 - confidence) / 2) * math.sqrt((1 + inner**2 / 2) / (n - 3))
    low, high = math.tanh(math.atanh(inner) - half), math.tanh(math.atanh(inner) + half)
    return Interval(-1.0 if rho < -largest else low, 1.0 if rho > largest else high)


def _ranks(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Twice the ranks of each, centred: whole numbers, so that equal sums tie exactly."""
    ranks = []
    for name, values in zip("xy", pair(x, y), strict=True):
        if np.ptp(values) == 0:
            raise InputError(f"{name!r} is {values[0]:g} throughout, expected values to rank")
        ranks.append(2 * scipy.stats.rankdata(values) - (len(values) + 1))
    return ranks[0], ranks[1]


def _rho(x_rank: Floats, y_rank: Floats) -> float:
    return float((x_rank @ y_rank) / math.sqrt((x_rank @ x_rank) * (y_rank @ y_rank)))


def _without_order_or_sign(ranks: Floats) -> Floats:
    return np.array(min(sorted(ranks), sorted(-ranks)))
