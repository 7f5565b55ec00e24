"""Correction for multiple tests that allows no false rejection at all.

    p~_(i) = max_{j <= i} min(1, (m - j + 1) p_(j)),   p_(1) <= ... <= p_(m)

Rejecting where p~ <= alpha is the step-down procedure of Holm 1979: the probability of any false
rejection is at most alpha, whatever the dependence of the tests.
S. Holm 1979, Scandinavian J. of Statistics 6, 65-70.
"""

import numpy as np
from numpy.typing import ArrayLike

from chimera.interface.errors import InputError
from chimera.statistics.resampling.samples import Floats, sample


def holm(p: ArrayLike) -> Floats:
    """Return the adjusted p (m,) of each declared test of a family, in the order of p (m,).

    Raises:
        InputError: If a p is not in [0, 1], or is NaN: a declared test is never left out.
    """
    family = sample("p", p, least=1)
    if family.min() < 0 or family.max() > 1:
        raise InputError(
            f"'p' holds values from {family.min():g} to {family.max():g}, expected 0 to 1"
        )
    order = np.argsort(family, kind="stable")
    stepped = np.maximum.accumulate(np.arange(len(family), 0, -1) * family[order])
    adjusted = np.empty_like(family)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
