"""Confidence intervals of the mean of one sample, such as paired differences.

    t           mean -+ t_{n-1} s / sqrt(n)                                   Student 1908
    percentile  [q(alpha), q(1 - alpha)]                                      eq. 13.5
    BCa         [q(alpha_1), q(alpha_2)],                                     eq. 14.9
                alpha_i = Phi(z_0 + (z_0 + z_i) / (1 - a (z_0 + z_i)))        eq. 14.10

with 2 alpha = 1 - confidence, q the quantiles of the bootstrap means, z_0 their median bias
(eq. 14.14), a the acceleration from the jackknife (eq. 14.15), z_i = -+ z_{1-alpha}. The equations
are those of B. Efron & R. J. Tibshirani 1993, An Introduction to the Bootstrap.

For normal data the t interval is exact at every n. No interval made of bootstrap means leaves
[min, max], which at n = 3 holds the true mean in 3 of 4 samples from a symmetric distribution: the
bootstrap intervals are there to be compared, not believed, at a handful of replicates.
"""

from typing import Literal, NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike

from chimera.statistics.resampling.samples import (
    Floats,
    require_count,
    require_fraction,
    sample,
    sample_has_spread,
)


class Interval(NamedTuple):
    """The ends of a two-sided confidence interval, in the unit of the values."""

    low: float
    high: float


def student_quantile(confidence: float, df: float) -> float:
    """Return c with P(|T| < c) = confidence for Student's T of df degrees of freedom.

    The same bits as of scipy.stats.t, and a second less: what scipy.stats takes to be imported.
    """
    return float(-scipy.special.stdtrit(df, (1 - confidence) / 2))


def t_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return Student's interval of the mean.

    Args:
        values: independent values (n,), n >= 2.
        confidence: probability that the interval covers the mean of a normal population.

    Returns:
        The interval; [0, 0] where every value is zero.

    Raises:
        InputError: fewer than 2 values, a value that is not finite, values that are all the same
            and not zero, or a confidence outside (0, 1).

    """
    require_fraction("confidence", confidence)
    v = sample("values", values)
    if not sample_has_spread("values", v):
        return Interval(0.0, 0.0)
    half = student_quantile(confidence, len(v) - 1) * v.std(ddof=1) / np.sqrt(len(v))
    return Interval(float(v.mean() - half), float(v.mean() + half))


def percentile_interval(
    values: ArrayLike,
    confidence: float = 0.95,
    *,
    num_resamples: int = 9999,
    rng: np.random.Generator | int = 0,
) -> Interval:
    """Return the bootstrap's percentile interval of the mean.

    Args:
        values: independent values (n,), n >= 2.
        confidence: nominal coverage.
        num_resamples: bootstrap samples, at least 100.
        rng: generator of the resamples, or a seed, which draws the same ones at every call.

    Returns:
        The interval, inside [min, max]; [0, 0] where every value is zero.

    Raises:
        InputError: as for `t_interval`, or too few resamples.

    """
    return _bootstrap_interval(values, "percentile", confidence, num_resamples, rng)


def bca_interval(
    values: ArrayLike,
    confidence: float = 0.95,
    *,
    num_resamples: int = 9999,
    rng: np.random.Generator | int = 0,
) -> Interval:
    """Return the bootstrap's bias-corrected and accelerated interval of the mean.

    Arguments, result and errors are those of `percentile_interval`.
    """
    return _bootstrap_interval(values, "BCa", confidence, num_resamples, rng)


def _bootstrap_interval(
    values: ArrayLike,
    method: Literal["percentile", "BCa"],
    confidence: float,
    num_resamples: int,
    rng: np.random.Generator | int,
) -> Interval:
    require_fraction("confidence", confidence)
    require_count("num_resamples", num_resamples, 100)
    v = sample("values", values)
    if not sample_has_spread("values", v):
        return Interval(0.0, 0.0)
    # Neither the order of the values nor a common sign may decide which resamples are drawn:
    # they are ordered by magnitude, and a negative mean is mirrored.
    v = v[np.lexsort((v, np.abs(v)))]
    sign = -1.0 if v.mean() < 0 else 1.0
    low, high = scipy.stats.bootstrap(
        (sign * v,),
        _mean,
        confidence_level=confidence,
        n_resamples=num_resamples,
        method=method,
        vectorized=True,
        rng=rng,
    ).confidence_interval
    low, high = sorted((sign * float(low), sign * float(high)))
    return Interval(low, high)


def _mean(values: Floats, axis: int = -1) -> Floats:
    """The mean, equal to the last bit for equal sets of values in whatever order.

    At n = 3 a fifth of all resamples are the sample in another order. They tie with its mean, and
    z_0 counts ties half; rounding must not break them.
    """
    return np.asarray(np.sort(values, axis=axis).mean(axis=axis))
