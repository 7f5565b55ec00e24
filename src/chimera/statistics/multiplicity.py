"""Correction for multiple tests.

    q_(i) = min_{j >= i} min(1, p_(j) m / j),   p_(1) <= ... <= p_(m)

Rejecting where q <= alpha is the step-up procedure of Benjamini & Hochberg 1995, eq. 1, which keeps
the expected share of false rejections at most alpha for independent (and positively dependent)
tests. Y. Benjamini & Y. Hochberg 1995, J. R. Statist. Soc. B 57, 289-300.
"""

import numpy as np
import scipy
from numpy.typing import ArrayLike

from chimera.interface.errors import InputError
from chimera.statistics.resampling.samples import Floats, sample


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Return the adjusted p (m,) of each declared test of a family, in the order of p (m,).

    Raises:
        InputError: If a p is not in [0, 1]. A declared test without a p (NaN) is an error and never
            left out, since that would reduce m.
    """
    family = sample("p", p, least=1)
    if family.min() < 0 or family.max() > 1:
        raise InputError(
            f"'p' holds values from {family.min():g} to {family.max():g}, expected 0 to 1"
        )
    return np.asarray(scipy.stats.false_discovery_control(family, method="bh"))
