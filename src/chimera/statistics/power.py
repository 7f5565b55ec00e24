"""Number of replicates that the paired t test needs.

    power(n) = P(|T| > t_{n-1, 1-alpha/2}),  T noncentral t of n - 1 degrees of freedom
               and noncentrality d_z sqrt(n)

J. Cohen 1988, Statistical Power Analysis for the Behavioral Sciences, 2nd ed., section 12.8 (the
noncentral t) with d_z of section 2.3.5. Both tails count.
"""

import math
from bisect import bisect_left
from functools import partial

import scipy

from chimera.interface.errors import InputError
from chimera.statistics.resampling.samples import require_count, require_fraction

MAX_EFFECT = 100.0  # larger ones are all significant at n = 2, or nearly so
MIN_EFFECT = 1e-3  # smaller ones need 8 million replicates


def paired_t_power(effect: float, num_replicates: int, *, alpha: float = 0.05) -> float:
    """Return the probability, at least alpha, that the two-sided paired t test rejects.

    The effect is the population's d_z; a magnitude above 100 counts as 100.
    """
    if not math.isfinite(effect):
        raise InputError(f"'effect' is {effect}, expected a finite d_z")
    require_count("num_replicates", num_replicates, 2)
    require_fraction("alpha", alpha)
    df = num_replicates - 1
    critical = scipy.stats.t.isf(alpha / 2, df)
    shift = min(abs(effect), MAX_EFFECT) * math.sqrt(num_replicates)
    # The lower tail by symmetry: P(T_shift < -c) = P(T_-shift > c), because scipy's cdf of a
    # strongly shifted t is NaN.
    return float(scipy.stats.nct.sf(critical, df, shift) + scipy.stats.nct.sf(critical, df, -shift))


def required_replicates(effect: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return the smallest number of pairs, at least 2, that gives the paired t test the power.

    The effect is the population's d_z, at least 0.001 in magnitude.
    """
    if abs(effect) < MIN_EFFECT:
        raise InputError(f"'effect' is {effect}, expected a d_z of at least {MIN_EFFECT}")
    require_fraction("power", power)
    power_with = partial(paired_t_power, effect, alpha=alpha)
    enough = 2
    while power_with(enough) < power:
        enough *= 2
    return bisect_left(range(enough), power, lo=enough // 2 + 1, key=power_with)


def detectable_effect(num_replicates: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the smallest d_z, at most 100, that the paired t test finds with the power.

    Times the standard deviation of the differences it is a difference in their unit. The power is
    more than the level alpha, which the test has without any effect.
    """
    require_fraction("power", power)
    if power <= alpha:
        raise InputError(f"'power' is {power}, expected more than alpha ({alpha})")

    def excess(effect: float) -> float:
        return paired_t_power(effect, num_replicates, alpha=alpha) - power

    if excess(MAX_EFFECT) < 0:
        return MAX_EFFECT
    return float(scipy.optimize.brentq(excess, 0.0, MAX_EFFECT))
