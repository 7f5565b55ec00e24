"""Corrections for multiple tests, for p_(1) <= ... <= p_(m).

    Benjamini & Hochberg, step-up   q_(i)  = min_{j >= i} min(1, p_(j) m / j)
    Holm, step-down                 p~_(i) = max_{j <= i} min(1, (m - j + 1) p_(j))

Rejecting where q <= alpha keeps the expected share of false rejections at most alpha for
independent (and positively dependent) tests; rejecting where p~ <= alpha keeps the probability of
any false rejection at most alpha, whatever their dependence. Y. Benjamini & Y. Hochberg 1995, J. R.
Statist. Soc. B 57, 289-300, eq. 1. S. Holm 1979, Scandinavian J. of Statistics 6, 65-70.
"""

import numpy as np
import scipy
from numpy.typing import ArrayLike

from chimera.interface.errors import InputError
from chimera.statistics.resampling.samples import Floats, sample


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Return the adjusted p (m,) of each declared test of a family, in the order of p (m,).

    A p outside [0, 1] is an InputError, and so is a declared test without a p (NaN): it is never
    left out, since that would reduce m.
    """
    return np.asarray(scipy.stats.false_discovery_control(_family(p), method="bh"))


def holm(p: ArrayLike) -> Floats:
    """Return Holm's adjusted p (m,), in the order and with the errors of `benjamini_hochberg`."""
    family = _family(p)
    order = np.argsort(family, kind="stable")
    stepped = np.maximum.accumulate(np.arange(len(family), 0, -1) * family[order])
    return np.asarray(np.minimum(stepped, 1.0)[np.argsort(order)])


def _family(p: ArrayLike) -> Floats:
    family = sample("p", p, least=1, any_size=True)
    low, high = family.min(), family.max()
    if low < 0 or high > 1:
        raise InputError(f"'p' holds values from {low:g} to {high:g}, expected 0 to 1")
    return family
