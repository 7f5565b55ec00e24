"""Confidence intervals of the mean of one sample, such as paired differences.

    t           mean -+ t_{n-1} s / sqrt(n)                                   Student 1908
    percentile  [q(alpha), q(1 - alpha)]                                      eq. 13.5
    BCa         [q(alpha_1), q(alpha_2)],                                     eq. 14.9
                alpha_i = Phi(z_0 + (z_0 + z_i) / (1 - a (z_0 + z_i)))        eq. 14.10

with 2 alpha = 1 - confidence, q the quantiles of the bootstrap means, z_0 their median bias
(eq. 14.14), a the acceleration from the jackknife (eq. 14.15), z_i = -+ z_{1-alpha}. The equations
are those of B. Efron & R. J. Tibshirani 1993, An Introduction to the Bootstrap.

For normal data the t interval is exact at every n. No interval of bootstrap means extends beyond
[min, max], which at n = 3 contains the true mean in 3 of 4 samples from a symmetric distribution:
with few replicates the bootstrap intervals serve for comparison only.

Every interval is [0, 0] where every value is zero; other values without any spread are an error.
"""

from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike

from chimera.statistics.resampling import samples

Rng = np.random.Generator | int  # a number is the seed of a generator


class Interval(NamedTuple):
    """The ends of a two-sided confidence interval, in the unit of the values."""

    low: float
    high: float


def student_quantile(confidence: float, df: float) -> float:
    """Return c with P(|T| < c) = confidence for Student's T of df degrees of freedom."""
    # The same bits as of scipy.stats.t, and a second less: what scipy.stats takes to be imported.
    return float(-scipy.special.stdtrit(df, (1 - confidence) / 2))


def t_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return Student's interval of the mean of independent values (n,), n >= 2."""
    samples.require_fraction("confidence", confidence)
    v = samples.sample("values", values)
    if not samples.sample_has_spread("values", v):
        return Interval(0.0, 0.0)
    half = student_quantile(confidence, len(v) - 1) * v.std(ddof=1) / np.sqrt(len(v))
    return Interval(float(v.mean() - half), float(v.mean() + half))


def percentile_interval(
    values: ArrayLike, confidence: float = 0.95, *, num_resamples: int = 9999, rng: Rng = 0
) -> Interval:
    """Return the bootstrap's percentile interval of the mean of independent values (n,), n >= 2.

    There are at least 100 resamples; a seed as `rng` draws the same ones at every call.
    """
    return _bootstrap_interval(
        values, confidence, method="percentile", n_resamples=num_resamples, rng=rng
    )


def bca_interval(
    values: ArrayLike, confidence: float = 0.95, *, num_resamples: int = 9999, rng: Rng = 0
) -> Interval:
    """Return the bootstrap's bias-corrected and accelerated interval; see `percentile_interval`."""
    return _bootstrap_interval(values, confidence, method="BCa", n_resamples=num_resamples, rng=rng)


def _bootstrap_interval(values: ArrayLike, confidence: float, **settings: Any) -> Interval:
    samples.require_fraction("confidence", confidence)
    samples.require_count("num_resamples", settings["n_resamples"], 100)
    v = samples.sample("values", values)
    if not samples.sample_has_spread("values", v):
        return Interval(0.0, 0.0)
    # Ordered by magnitude and with a negative mean mirrored, so that neither the order of the
    # values nor a common sign changes which resamples are drawn.
    v = v[np.lexsort((v, np.abs(v)))]
    sign = -1.0 if v.mean() < 0 else 1.0
    found = scipy.stats.bootstrap((sign * v,), _mean, confidence_level=confidence, **settings)
    low, high = sorted(sign * float(end) for end in found.confidence_interval)
    return Interval(low, high)


def _mean(values: samples.Floats, axis: int = -1) -> samples.Floats:
    """Return the mean, with the same bits for equal sets of values in any order.

    At n = 3 a fifth of all resamples are the sample in another order. Their means tie with the
    sample's; z_0 counts ties half, so rounding must not break them.
    """
    return np.asarray(np.sort(values, axis=axis).mean(axis=axis))
