"""The plateau of a curve of dimensions over scales, in units of what a cube's curve shows.

Estimates fall with the scale, and with the dimension, because neighbours reach the boundary of a
set or the ends of its density. How much is measured on uniform cubes [0, 1]^d of the same number of
points: at every scale the dimension of the cube with the same estimate is the corrected one. The
boundary of a cube is an extreme case, a sphere has none; a set in between has a dimension between
the estimate and the corrected one.

A plateau is a run of at least four scales up to the largest, from the first or the second on, since
the smallest may be that of noise, whose corrected dimensions agree within a tenth. Its dimension is
stated as the range from the mean estimate to the mean corrected one, 12% wider at both ends.
There is none where the curve keeps falling or rising, or where the ends of the range differ by more
than a factor of two. These numbers were chosen on sets of known dimension (docs/estimators.md).

N points, S scales.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from chimera.probes.twonn.estimator import distinct_neighbors, scale_dimension
from chimera.statistics.resampling.samples import Floats

FLATNESS = 0.1
MARGIN = 0.12
FEWEST_SCALES = 4
WIDEST_RANGE = 2.0

_CUBES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)
_DRAWS = 2


class Plateau(NamedTuple):
    """The first and last scale of a plateau, and the range of its dimension."""

    first_scale: int
    last_scale: int
    low: float
    high: float


def cube_curves(count: int, scales: Sequence[int], rng: np.random.Generator) -> Floats:
    """Return the estimates of `count` points of cubes of rising dimension, (cubes, S)."""
    curves = []
    for d in _CUBES:
        draws = [distinct_neighbors(rng.random((count, d)), 2 * max(scales)) for _ in range(_DRAWS)]
        curves.append(
            [np.mean([scale_dimension(found.ratios(n), n) for found in draws]) for n in scales]
        )
    return np.maximum.accumulate(np.array(curves), axis=0)


def find_plateau(curve: Sequence[float], scales: Sequence[int], cubes: Floats) -> Plateau | None:
    """Return the plateau of a curve (S,) over rising scales, or None."""
    estimates, dimensions = np.asarray(curve), np.array(_CUBES, dtype=float)
    corrected = np.array(
        [
            np.interp(e, at, dimensions, left=1.0, right=np.inf)
            for e, at in zip(estimates, cubes.T, strict=True)
        ]
    )
    for first in range(2):
        run = slice(first, None)
        if len(scales[run]) < FEWEST_SCALES:
            break
        low = (1 - MARGIN) * float(min(estimates[run].mean(), corrected[run].mean()))
        high = (1 + MARGIN) * float(corrected[run].mean())
        flat = corrected[run].max() <= (1 + FLATNESS) * corrected[run].min()
        if flat and high <= WIDEST_RANGE * low:
            return Plateau(scales[first], scales[-1], low, high)
    return None
