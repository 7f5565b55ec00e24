"""Quasi-random search: trial k takes the k-th point of a scrambled Sobol sequence (Owen 1998).

Points are uniform in ln lr and ln weight decay, and the same for every model.
"""

import numpy as np
from scipy.stats import qmc

from chimera.tuning.settings import Search


def draws(search: Search) -> list[dict[str, float]]:
    """Return `lr` and `weight_decay` of every trial, at three digits."""
    names = ("lr", "weight_decay")
    points = qmc.Sobol(len(names), rng=search.seed).random(len(search.trials))
    low, high = np.log([getattr(search, name) for name in names]).T
    values = np.exp(qmc.scale(points, low, high))
    return [{n: float(f"{v:.3g}") for n, v in zip(names, row, strict=True)} for row in values]
