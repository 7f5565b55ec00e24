"""Standardised differences of two samples.

    d   = (mean x - mean y) / s_pooled,   m = n_x + n_y - 2    Cohen 1988, eq. 2.5.1, 2.5.2
    d_z = mean(x - y) / sd(x - y),        m = n - 1            Cohen 1988, section 2.3.5
    g   = c(m) d,  g_z = c(m) d_z,                             Hedges 1981, eq. 6e
          c(m) = Gamma(m/2) / (sqrt(m/2) Gamma((m-1)/2))
    A   = P(X > Y) + P(X = Y) / 2                              Vargha & Delaney 2000

with all standard deviations over n - 1. d compares independent groups, d_z pairs; c(m) makes the
estimate unbiased for normal data. With m = 1 degree of freedom Gamma((m-1)/2) has its pole and
c = 0: the only unbiased estimate of the smallest sample is zero.

x is (n_x,), y is (n_y,), both of at least 2 values; d_z and g_z need pairs, n_x = n_y. Differences
that are all zero give 0; a difference without any spread is an InputError.

J. Cohen 1988, Statistical Power Analysis for the Behavioral Sciences, 2nd ed.
L. V. Hedges 1981, J. Educational Statistics 6, 107-128.
A. Vargha & H. D. Delaney 2000, J. Educational and Behavioral Statistics 25, 101-132.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from chimera.statistics.resampling.samples import has_spread, pair, sample


def cohens_d(x: ArrayLike, y: ArrayLike) -> float:
    """Return d, the difference of two groups' means over their pooled standard deviation."""
    first, second = sample("x", x), sample("y", y)
    deviations = np.concatenate([first - first.mean(), second - second.mean()])
    difference = first.mean() - second.mean()
    if not has_spread("the means of 'x' and 'y'", deviations, difference, first, second):
        return 0.0
    return float(difference / math.sqrt((deviations**2).sum() / (len(deviations) - 2)))


def cohens_dz(x: ArrayLike, y: ArrayLike) -> float:
    """Return d_z, the mean of paired differences over their standard deviation."""
    first, second = pair(x, y)
    differences = first - second
    mean = differences.mean()
    if not has_spread("the pairs of 'x' and 'y'", differences - mean, mean, first, second):
        return 0.0
    return float(mean / differences.std(ddof=1))


def hedges_g(x: ArrayLike, y: ArrayLike) -> float:
    """Return `cohens_d` without its bias: E[g] is the population's d for normal data."""
    return _unbiased(len(sample("x", x)) + len(sample("y", y)) - 2) * cohens_d(x, y)


def hedges_gz(x: ArrayLike, y: ArrayLike) -> float:
    """Return `cohens_dz` without its bias; 0 for two pairs."""
    return _unbiased(len(sample("x", x)) - 1) * cohens_dz(x, y)


def probability_of_superiority(x: ArrayLike, y: ArrayLike) -> float:
    """Return A, the probability that a value of x exceeds a value of y, ties counted half."""
    comparison = np.sign(sample("x", x)[:, None] - sample("y", y))
    return float((1 + comparison.mean()) / 2)


def _unbiased(m: int) -> float:
    """c(m); the logarithm of Gamma keeps large m finite, and its infinite pole makes c(1) zero."""
    return float(np.exp(gammaln(m / 2) - gammaln((m - 1) / 2)) / math.sqrt(m / 2))
