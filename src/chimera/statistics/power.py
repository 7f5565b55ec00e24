"""How many replicates the paired t test needs.

    power(n) = P(|T| > t_{n-1, 1-alpha/2}),  T noncentral t of n - 1 degrees of freedom
               and noncentrality d_z sqrt(n)

J. Cohen 1988, Statistical Power Analysis for the Behavioral Sciences, 2nd ed., section 12.8 (the
noncentral t) with d_z of section 2.3.5. Both tails count.
"""

import math

import scipy

from chimera.interface.errors import InputError
from chimera.statistics.resampling.samples import require_count, require_fraction

# Beyond these no number of replicates is of interest: one effect is seen at n = 2, or nearly, the
# other asks for 8 million replicates.
LARGEST_EFFECT = 100.0
SMALLEST_EFFECT = 1e-3


def paired_t_power(effect: float, num_replicates: int, *, alpha: float = 0.05) -> float:
    """Return the probability that the two-sided paired t test rejects.

    Args:
        effect: d_z of the population, of either sign; a magnitude above 100 counts as 100.
        num_replicates: number of pairs, at least 2.
        alpha: level of the test.

    Returns:
        Power in [alpha, 1]; alpha where the effect is zero.

    Raises:
        InputError: an effect that is not finite, fewer than 2 pairs, or alpha outside (0, 1).

    """
    _require_finite(effect)
    require_count("num_replicates", num_replicates, 2)
    require_fraction("alpha", alpha)
    df = num_replicates - 1
    critical = scipy.stats.t.isf(alpha / 2, df)
    shift = min(abs(effect), LARGEST_EFFECT) * math.sqrt(num_replicates)
    # The lower tail by symmetry: P(T_shift < -c) = P(T_-shift > c), which stays a number where
    # scipy's cdf of a strongly shifted t is NaN.
    return float(scipy.stats.nct.sf(critical, df, shift) + scipy.stats.nct.sf(critical, df, -shift))


def required_replicates(effect: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return the smallest number of pairs with which the paired t test has the power.

    Args:
        effect: d_z of the population that is to be found, of either sign.
        alpha: level of the two-sided test.
        power: probability of rejection that is asked for.

    Returns:
        The number of replicates, at least 2.

    Raises:
        InputError: an effect that is not finite or smaller than 0.001 in magnitude, or alpha or
            power outside (0, 1).

    """
    _require_finite(effect)
    if abs(effect) < SMALLEST_EFFECT:
        raise InputError(f"'effect' is {effect}, expected a d_z of at least {SMALLEST_EFFECT}")
    require_fraction("power", power)
    enough = 2
    while paired_t_power(effect, enough, alpha=alpha) < power:
        enough *= 2
    too_few = enough // 2
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if paired_t_power(effect, middle, alpha=alpha) < power:
            too_few = middle
        else:
            enough = middle
    return enough


def _require_finite(effect: float) -> None:
    if not math.isfinite(effect):
        raise InputError(f"'effect' is {effect}, expected a finite d_z")
