"""Mutual information of continuous samples, from the distances to their nearest neighbours.

    I1 = psi(k) + psi(n) - <psi(n_x + 1) + psi(n_y + 1)>            (variant 1, equation 8)
    I2 = psi(k) + psi(n) - <psi(n_x) + psi(n_y)> - 1 / k            (variant 2, equation 9)

of Kraskov, Stoegbauer & Grassberger 2004, "Estimating mutual information"
(doi:10.1103/PhysRevE.69.066138). In variant 1 n_x counts the other samples strictly nearer to x_i
than the distance in the max norm of (x_i, y_i) to its k-th neighbour; in variant 2 those no further
in x than the furthest of its k neighbours. psi is the digamma function, <> the mean over samples.
Limits of the estimate:

- it saturates: n samples in many dimensions cannot show a strong dependence, which shuffled samples
  do not reveal, but Gaussian samples of known information do;
- if y is a function of x, the information is infinite and the estimate grows like ln n;
- it depends on the relative scale of the coordinates of a side: standardise them.

n samples, d dimensions, k neighbours, B shuffles.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree as KDTree
from scipy.spatial.distance import cdist
from scipy.special import digamma
from torch import Tensor

from chimera.interface.errors import InputError
from chimera.probes.ib.settings import MAX_SHUFFLED_NEIGHBORS
from chimera.statistics.resampling.samples import Floats, Integers

MIN_POINTS = 10


def mutual_information(
    x: ArrayLike | Tensor, y: ArrayLike | Tensor, num_neighbors: int = 3, variant: int = 1
) -> float:
    """Estimate I(x; y) in nats from paired samples; may be negative for independent ones.

    Samples are (n,) or (n, d), continuous values; a larger k lowers the variance and raises the
    bias. It is an InputError if there are fewer than 10 samples or at most k, lengths differ, a
    side is constant or not finite, or a sample has k exact copies in x and y together.

    >>> r = np.random.default_rng(0)
    >>> x = r.standard_normal(10000)
    >>> y = 0.9 * x + np.sqrt(1 - 0.9**2) * r.standard_normal(10000)
    >>> round(mutual_information(x, y), 3), round(float(-0.5 * np.log(1 - 0.9**2)), 3)
    (0.83, 0.83)
    """
    return float(pointwise_information(x, y, num_neighbors, variant).mean())


def pointwise_information(
    x: ArrayLike | Tensor, y: ArrayLike | Tensor, num_neighbors: int = 3, variant: int = 1
) -> Floats:
    """Return each sample's term (n,) of `mutual_information`, which is their mean."""
    sides = _points(x, "x"), _points(y, "y")
    n = len(sides[0])
    if len(sides[1]) != n:
        raise InputError(f"x has {n} samples and y {len(sides[1])}, expected as many")
    _check_neighbors(num_neighbors, n)
    if variant not in (1, 2):
        raise InputError(f"variant is {variant!r}, expected 1 or 2")
    joint = KDTree(np.hstack(sides))
    # A sample is its own nearest neighbour, or a copy of it takes its place.
    distances, neighbors = joint.query(joint.data, num_neighbors + 1, p=np.inf)
    radius = distances[:, -1]
    if not radius.all():
        raise InputError(
            f"{int((radius == 0).sum())} samples have {num_neighbors} or more exact copies in x "
            "and y together, expected continuous values: remove copies or add a little noise"
        )
    known = digamma(num_neighbors) + digamma(n)
    if variant == 1:
        inside = np.nextafter(radius, 0)  # no further than this: strictly nearer than the radius
        counts = [count_within(side, inside) for side in sides]  # n_x + 1: itself included
    else:
        known -= 1 / num_neighbors
        reach = [np.abs(side[neighbors] - side[:, None]).max(axis=(1, 2)) for side in sides]
        counts = [count_within(s, r) - 1 for s, r in zip(sides, reach, strict=True)]
    return np.asarray(known - digamma(counts).sum(axis=0))


def count_within(points: Floats, radii: Floats) -> Integers:
    """Count the points (n, d) no further from each than its own radius (n,), itself included."""
    return np.asarray(_count(points, points[:, 0].argsort(), radii))


@njit(cache=True)
def _count(points, order, radii):  # type: ignore[no-untyped-def]
    counts = np.ones(len(points), np.int64)
    for place, i in enumerate(order):
        for step in (-1, 1):
            other = place + step
            while 0 <= other < len(order):
                j = order[other]
                if abs(points[j, 0] - points[i, 0]) > radii[i]:
                    break  # all others are further away
                distance = 0.0
                for axis in range(1, points.shape[1]):
                    distance = max(distance, abs(points[j, axis] - points[i, axis]))
                counts[i] += distance <= radii[i]
                other += step
    return counts


class Ranked(NamedTuple):
    """Samples (n, d) of one side, and the distances of each to all, ascending, itself first (n, n).

    The indices (n, n) are those of the samples to which the distances belong.
    """

    points: Floats
    distances: Floats
    indices: NDArray[np.int32]


def rank(points: Floats) -> Ranked:
    """Sort the distances between samples (n, d); takes 12 n^2 bytes."""
    distances = _distances(points)
    indices = np.argsort(distances, axis=1)
    ascending = np.take_along_axis(distances, indices, axis=1)
    ascending[:, 0] = 0.0
    return Ranked(np.ascontiguousarray(points), ascending, indices.astype(np.int32))


def _distances(points: Floats) -> Floats:
    """Return max-norm distances (n, n); each sample is at -1 from itself, before its own copies."""
    distances = cdist(points, points, "chebyshev")
    np.fill_diagonal(distances, -1.0)
    return distances


def shuffled_information(x: Ranked, y: Floats, orders: Integers, num_neighbors: int = 3) -> Floats:
    """Return `mutual_information(x.points, y[order], num_neighbors)` of orders (B, n).

    Faster than one estimate at a time: the neighbours of a sample in x and y together are found
    among its neighbours in x, in ascending order, until the next is further away in x than the k-th
    nearest so far is in both. The samples of a side have to be distinct, k below n and at most 5.
    """
    n = len(x.points)
    _check_neighbors(num_neighbors, n)
    if num_neighbors > MAX_SHUFFLED_NEIGHBORS:
        raise InputError(
            f"num_neighbors is {num_neighbors}, expected 1 to {MAX_SHUFFLED_NEIGHBORS}"
        )
    start = (-np.inf,) * (MAX_SHUFFLED_NEIGHBORS - num_neighbors) + (np.inf,) * num_neighbors
    psi = digamma(np.arange(n + 1, dtype=np.float64))
    y = np.ascontiguousarray(y)
    y_distances = _distances(y)
    y_distances.sort(axis=1)
    means = _shuffled(x.distances, x.indices, y, y_distances, orders, start, psi)
    return digamma(num_neighbors) + digamma(n) - means


@njit(cache=True)
def _shuffled(x_distances, x_indices, y, y_distances, orders, start, psi):  # type: ignore[no-untyped-def]
    """Return the mean of psi(n_x + 1) + psi(n_y + 1) for each order."""
    B, n = orders.shape
    means, shuffled = np.zeros(B), np.empty_like(y)
    for b in range(B):
        for i in range(n):
            shuffled[i] = y[orders[b, i]]
        for i in range(n):
            # The nearest in both so far, ascending; the last is the k-th, since unused slots stay
            # at minus infinity. Scalars without a branch are much faster than an array.
            found0, found1, found2, found3, found4 = start
            step = 1  # 0 is the sample itself
            while step < n and x_distances[i, step] < found4:
                other, new = x_indices[i, step], x_distances[i, step]
                for j in range(y.shape[1]):
                    new = max(new, abs(shuffled[i, j] - shuffled[other, j]))
                found0, new = min(found0, new), max(found0, new)
                found1, new = min(found1, new), max(found1, new)
                found2, new = min(found2, new), max(found2, new)
                found3, new = min(found3, new), max(found3, new)
                found4 = min(found4, new)
                step += 1
            n_x = np.searchsorted(x_distances[i, :step], found4)
            n_y = np.searchsorted(y_distances[orders[b, i]], found4)
            means[b] += (psi[n_x] + psi[n_y]) / n
    return means


def _check_neighbors(num_neighbors: int, n: int) -> None:
    if not 1 <= num_neighbors < n:
        raise InputError(f"num_neighbors is {num_neighbors}, expected 1 to {n - 1} of {n} samples")


def _points(values: ArrayLike | Tensor, name: str) -> Floats:
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    points = np.asarray(values, dtype=np.float64)
    if points.ndim == 1:
        points = points[:, None]
    if points.ndim != 2 or not points.shape[1]:
        raise InputError(f"{name} has shape {points.shape}, expected (n,) or (n, d)")
    if len(points) < MIN_POINTS:
        raise InputError(f"{name} has {len(points)} samples, expected {MIN_POINTS} or more")
    if bad := int((~np.isfinite(points)).sum()):
        raise InputError(f"{name} holds {bad} NaN or infinite values, expected finite ones")
    if (points == points[0]).all():
        raise InputError(f"{name} is constant at {points[0].tolist()}, expected values that vary")
    return points
