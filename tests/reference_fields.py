"""Fields for which published definitions of spectra and errors gave known values."""

import numpy as np


def grid(n):
    """Return x and y of n x n points on a periodic square of side 2 pi."""
    x = 2 * np.pi * np.arange(n) / n
    return np.meshgrid(x, x, indexing="ij")


def published_fields():
    """Return the prediction and the truth whose values the tests quote."""
    n = 64
    r = np.random.default_rng(0)
    y0, e = r.standard_normal((n, n)), r.standard_normal((n, n))
    X, Y = grid(n)
    y = np.sin(X) + 0.5 * np.cos(3 * X + 2 * Y) + 0.1 * y0
    wrong = 0.2 * np.sin(2 * Y) + 0.1 * np.cos(6 * X - 5 * Y) + 0.05 * np.cos(20 * Y)
    return y + wrong + 0.01 * e, y
