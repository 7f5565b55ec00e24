"""Confidence sequence of a mean: intervals that hold at all sample sizes at once.

    C_n = {mu : e_n(d - mu) < 1/alpha} = mean d -+ s sqrt((n - 1) x / n)
    x = (c - 1) / (1 - c / w),   c = (sqrt(w) / alpha)^(2/n),   w = 1 + n g

by solving e_n = 1/alpha of chimera.statistics.e_values for x. e_n is below w^((n-1)/2) whatever the
data: where c >= w it cannot reach 1/alpha, and C_n is the whole line.

For normal differences P(mu in C_n for all n >= 2) >= 1 - alpha. Lai 1976 (the flat prior); Wang &
Ramdas 2025, Sequential Analysis 44, 56-110 (this one).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chimera.statistics.e_values import PRIOR_VARIANCE, require_prior
from chimera.statistics.resampling.intervals import Interval
from chimera.statistics.resampling.samples import require_fraction, sample, sample_has_spread


def confidence_sequence(
    differences: ArrayLike, alpha: float = 0.05, *, prior_variance: float = PRIOR_VARIANCE
) -> Interval:
    """Return the ends of C_n, which are -inf and inf where n is too small; g is `prior_variance`.

    Differences x_i - y_i are of independent pairs, (n,), n >= 2; not all the same unless zero.
    """
    d = sample("differences", differences)
    # Differences that are all zero have s = 0, and C_n is the point 0 where n is large enough.
    s = d.std(ddof=1) if sample_has_spread("differences", d) else 0.0
    half, mean = float(half_width(s, len(d), alpha, prior_variance)), float(d.mean())
    return Interval(mean - half, mean + half)


def half_width(
    s: ArrayLike, n: ArrayLike, alpha: float, prior_variance: float = PRIOR_VARIANCE
) -> NDArray[np.float64]:
    """Return half the width of C_n, or inf, for standard deviations s and n, which broadcast."""
    require_fraction("alpha", alpha)
    require_prior(prior_variance)
    n = np.asarray(n, dtype=np.float64)
    log_w = np.log1p(n * prior_variance)
    log_c = (log_w - 2 * np.log(alpha)) / n
    bounded = log_c < log_w
    # Any number below log_w will do where the result is not used.
    log_c = np.where(bounded, log_c, 0.0)
    x = np.expm1(log_c) / -np.expm1(log_c - log_w)
    return np.asarray(np.where(bounded, s * np.sqrt((n - 1) * x / n), np.inf))
