"""Evidence against a mean of zero that may be looked at after every pair: the t e-value.

    e_n = w^(-1/2) ((1 + x) / (1 + x / w))^(n/2),   x = t^2 / (n - 1),   w = 1 + n g

with t = mean d / (s / sqrt(n)). It is the Bayes factor of t for delta = mu / sigma ~ N(0, g)
against delta = 0: t is noncentral t with noncentrality sqrt(n) delta, so that under the prior
t / sqrt(w) has Student's density f and e_n = f(t / sqrt(w)) / (sqrt(w) f(t)).

For normal differences of mean zero and any variance, e_n is a martingale of the signs and ratios
d_i / |d_1| with expectation 1. Hence P(e_n >= 1/alpha at any n) <= alpha (Ville's inequality):
pairs may be added, and looked at, until something is decided. The prior of sigma is the right-Haar
dsigma / sigma, which cancels. The bound holds for every g; g decides how soon an effect is found.

T. L. Lai 1976, Annals of Statistics 4, 265-280. M. F. Perez-Ortiz, T. Lardy, R. de Heide &
P. D. Grunwald 2024, Annals of Statistics 52, 1410-1432. H. Wang & A. Ramdas 2025, Sequential
Analysis 44, 56-110.
"""

import math
from sys import float_info

from numpy.typing import ArrayLike

from chimera.interface.errors import InputError
from chimera.statistics.resampling.samples import sample, sample_has_spread

# g, the variance of mu / sigma. benchmarks/prior.csv: the shortest studies among the priors that
# keep every error rate at 5% for differences of skewness up to 1.
PRIOR_VARIANCE = 5.0

MAX_LOG = math.log(float_info.max)


def e_value(differences: ArrayLike, *, prior_variance: float = PRIOR_VARIANCE) -> float:
    """Return e_n, which is 20 or more with probability at most 1/20 if the mean is zero.

    Differences x_i - y_i are of independent pairs, (n,), n >= 2, in any order, and not all the same
    unless zero. The prior variance is g, declared before they are seen.
    """
    require_prior(prior_variance)
    d = sample("differences", differences)
    n, mean = len(d), d.mean()
    x = n * mean**2 / ((d - mean) ** 2).sum() if sample_has_spread("differences", d) else 0.0
    w = 1 + n * prior_variance
    log_e = n / 2 * (math.log1p(x) - math.log1p(x / w)) - math.log(w) / 2
    return math.exp(min(log_e, MAX_LOG))


def require_prior(prior_variance: float) -> None:
    """Raise InputError unless the variance of the prior is finite and above 0."""
    if not (math.isfinite(prior_variance) and prior_variance > 0):
        raise InputError(f"'prior_variance' is {prior_variance}, expected a finite number above 0")
