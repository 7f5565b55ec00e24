"""Two-sided tests that the mean of paired differences is zero.

    paired t    p = P(|T_{n-1}| >= |mean d| / (s / sqrt(n)))                Student 1908
    sign flip   p = #{s in {-1, 1}^n : |sum s_i d_i| >= |sum d_i|} / 2^n    Fisher 1935, sec. 21

The t test assumes normal differences. The sign-flip test assumes only that exchanging the two sides
of a pair changes nothing under the null hypothesis; in return its p is never below 2^(1-n), so that
up to 5 pairs cannot reach 0.05. Both return 1 where every difference is zero.

Student 1908, Biometrika 6, 1-25. R. A. Fisher 1935, The Design of Experiments.
"""

import numpy as np
import scipy
from numpy.typing import ArrayLike

from chimera.interface.errors import InputError
from chimera.statistics.resampling.samples import ROUNDING, Floats, sample, sample_has_spread

MAX_SAMPLE_SIZE = 40  # the 2^20 sums of half a sample take 8 MiB, and a second to compare


def paired_t_p(differences: ArrayLike) -> float:
    """Return the p of the paired t test on differences (n,), n >= 2, of independent pairs."""
    d = sample("differences", differences)
    if not sample_has_spread("differences", d):
        return 1.0
    t = d.mean() / (d.std(ddof=1) / np.sqrt(len(d)))
    return float(2 * scipy.stats.t.sf(abs(t), len(d) - 1))


def sign_flip_p(differences: ArrayLike) -> float:
    """Return the exact p over all signs of differences (n,), 2 <= n <= 40, of independent pairs."""
    d = sample("differences", differences)
    if len(d) > MAX_SAMPLE_SIZE:
        raise InputError(f"'differences' holds {len(d)} values, expected at most {MAX_SAMPLE_SIZE}")
    observed = abs(d.sum()) - ROUNDING * np.abs(d).sum()  # sums as large up to rounding count
    if observed <= 0:
        return 1.0
    # Meet in the middle: an assignment is one of each half, and of the sorted sums of one half a
    # search finds how many reach the observed sum together with each of the other's. Half of the
    # assignments mirror the other half, so the first sign is fixed.
    half = len(d) // 2
    left, right = _sums(d[:1], d[1:half]), np.sort(_sums(np.zeros(1), d[half:]))
    above = len(right) - np.searchsorted(right, observed - left, side="left")
    below = np.searchsorted(right, -observed - left, side="right")
    return float((above + below).sum() / (len(left) * len(right)))


def _sums(start: Floats, values: Floats) -> Floats:
    """Return the sums (2^n,) of the start and the values (n,) with every choice of signs."""
    for value in values:
        start = np.concatenate([start + value, start - value])
    return start
