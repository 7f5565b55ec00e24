"""Test that the mean of paired differences lies within a margin of zero: two one-sided tests.

    p = max(P(T_{n-1} >= (mean d + m) / (s / sqrt(n))), P(T_{n-1} <= (mean d - m) / (s / sqrt(n))))

The null hypothesis is |mu| >= m; p <= alpha exactly where the t interval of level 1 - 2 alpha lies
within [-m, m]. D. J. Schuirmann 1987, J. Pharmacokinetics and Biopharmaceutics 15, 657-680.
"""

import math

import numpy as np
import scipy
from numpy.typing import ArrayLike

from chimera.interface.errors import InputError
from chimera.statistics.resampling.samples import sample, sample_has_spread


def equivalence_p(differences: ArrayLike, margin: float) -> float:
    """Return the larger p of the two one-sided paired t tests at the margin.

    Differences x_i - y_i are of independent pairs, (n,), n >= 2; not all the same unless zero,
    which gives 0. The margin, above 0, is the smallest difference of interest: ln 1.1 where the
    differences are log ratios of errors and 10% matters.
    """
    if not (math.isfinite(margin) and margin > 0):
        raise InputError(f"'margin' is {margin}, expected a finite number above 0")
    d = sample("differences", differences)
    if not sample_has_spread("differences", d):
        return 0.0
    # The test at the nearer end of the margin has the larger p.
    t = (margin - abs(d.mean())) / (d.std(ddof=1) / np.sqrt(len(d)))
    return float(scipy.special.stdtr(len(d) - 1, -t))
