"""Intrinsic dimension from the distances r_1 <= r_2 <= ... of each point to its neighbours.

Where the density of points is constant over these distances, mu = r_2 / r_1 follows Pareto's law
F(mu) = 1 - mu^-d, whatever the density is (Facco et al. 2017, "Estimating the intrinsic dimension
of datasets by a minimal neighborhood information", Scientific Reports 7, 12140). With the N ratios
sorted, mu_(1) <= ... <= mu_(N), and K = int((1 - f) N) for a discarded fraction f,

    linear     slope through the origin of -ln(1 - i/N) over ln mu_(i), i = 1..K     (their fit)
    mle        d = (N - 1) / sum_i ln mu_i
    censored   d = (K - 1) / (sum_{i<=K} ln mu_(i) + (N - K) ln mu_(K))

The last two are the likelihood's maximum without its bias, N / (N - 1); the censored one knows of
the N - K largest ratios only that they are no smaller than mu_(K).

GRIDE looks further: mu = r_{2n} / r_n has the density (Denti et al. 2022, "The generalized ratios
intrinsic dimension estimator", Scientific Reports 12, 20005, for n_1 = n and n_2 = 2n)

    d (mu^d - 1)^{n-1} / (B(n, n) mu^{(2n-1) d + 1})

and its likelihood is largest at the one root of

    (N - 1) / d + (n - 1) sum_i ln mu_i / (1 - mu_i^-d) - (2n - 1) sum_i ln mu_i = 0,

where N - 1 stands for N, so that n = 1 gives the mle. Over n = 1, 2, 4, ... it tells the dimension
of noise, seen at small scales, from that of what it lies upon.

N points, D dimensions, k neighbours.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from torch import Tensor

from chimera.interface.errors import InputError
from chimera.probes.twonn.neighbors import neighbor_distances
from chimera.statistics.resampling.samples import Floats, Integers

Method = Literal["linear", "mle", "censored"]

FEWEST_POINTS = 10


def intrinsic_dimension(
    points: ArrayLike | Tensor, discard_fraction: float = 0.1, method: Method = "linear"
) -> float:
    """Return the dimension of the set that points lie on, from two neighbours of each.

    Duplicates are left out first: a distance of 0 tells nothing of a dimension.

    Args:
        points: (N, D), in any unit. An offset, distant clusters or an outlying dimension cost no
            precision beyond that of the numbers themselves.
        discard_fraction: f, the share of the largest ratios that the linear fit leaves out and the
            censored likelihood does not see; the mle does not use it. The fit always leaves out
            the very largest, whose -ln(1 - i/N) is infinite.
        method: "linear", "mle" or "censored".

    Raises:
        InputError: If the shape is another, a value is not finite, fewer than 10 distinct points
            are left, the fraction or the method is another, or all ratios are 1.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> plane = 100 + rng.random((2000, 2)) @ rng.standard_normal((2, 50))
        >>> f"{intrinsic_dimension(plane):.1f}"
        '2.0'
    """
    return dimension(distinct_neighbors(points, 2).ratios(1), discard_fraction, method)


class Neighbors(NamedTuple):
    """Distances of the distinct points among some.

    Attributes:
        distances: To the k nearest other points, or all of them, ascending, (N, k).
        kept: Which points are distinct: the first of each set of duplicates, (N,).
        duplicates: How many were left out.
    """

    distances: Floats
    kept: Integers
    duplicates: int

    def ratios(self, scale: int) -> Floats:
        """Return mu = r_{2n} / r_n of every point, (N,), for the scale n <= k / 2."""
        return self.distances[:, 2 * scale - 1] / self.distances[:, scale - 1]


def distinct_neighbors(points: ArrayLike | Tensor, num_neighbors: int) -> Neighbors:
    """Leave out duplicates and find the nearest neighbours of every other point.

    Args:
        points: (n, D).
        num_neighbors: k; where no more than k points are distinct, all others are found.

    Raises:
        InputError: If the shape is another, a value is not finite, fewer than 10 distinct points
            are left, or some are too close to be told apart.

    Example:
        >>> found = distinct_neighbors(np.repeat(np.arange(10.0), 2)[:, None], 2)
        >>> found.distances[:2].tolist(), found.kept[:2].tolist(), found.duplicates
        ([[1.0, 2.0], [1.0, 1.0]], [0, 2], 10)
    """
    tensor = _as_points(points)
    count, kept = len(tensor), _distinct(tensor)
    if len(kept) < FEWEST_POINTS:
        raise InputError(
            f"the dimension is sought of {count} points of which {len(kept)} are distinct, "
            f"expected at least {FEWEST_POINTS}"
        )
    if len(kept) < count:
        tensor = tensor[torch.from_numpy(kept).to(tensor.device)]
    distances = neighbor_distances(tensor, min(num_neighbors, len(kept) - 1)).cpu().numpy()
    if not (np.isfinite(distances).all() and distances[:, 0].all()):
        raise InputError(
            f"distances of neighbours lie between {distances.min()} and {distances.max()}, "
            "expected positive finite ones: rescale the points"
        )
    return Neighbors(distances, kept, count - len(kept))


def dimension(ratios: Floats, discard_fraction: float = 0.1, method: Method = "linear") -> float:
    """Estimate d from the ratios mu = r_2 / r_1.

    Args:
        ratios: (N,), 1 or more, in any order.
        discard_fraction: As for `intrinsic_dimension`.
        method: As for `intrinsic_dimension`.

    Raises:
        InputError: If the fraction or the method is another, fewer than 2 ratios are kept, or all
            of these are 1.

    Example:
        >>> quantiles = (np.arange(1, 1000) - 0.5) / 999
        >>> f"{dimension((1 - quantiles) ** (-1 / 3)):.2f}"  # F(mu) = 1 - mu^-3
        '3.00'
    """
    if not 0 <= discard_fraction < 1:
        raise InputError(f"the discarded fraction is {discard_fraction}, expected 0 <= ... < 1")
    N = len(ratios)
    log_mu = np.sort(np.log(ratios))
    K = int(N * (1 - discard_fraction))
    if method == "linear":
        K = min(K, N - 1)
    elif method == "mle":
        K = N
    elif method != "censored":
        raise InputError(f"the method is {method!r}, expected linear, mle or censored")
    if K < 2 or not log_mu[K - 1] > 0:
        raise InputError(
            f"{max(K, 0)} of {N} ratios of neighbour distances are kept, the largest being "
            f"{np.exp(log_mu[max(K, 1) - 1]):.6g}, expected at least 2, and one above 1"
        )
    x = log_mu[:K]
    if method == "linear":
        y = -np.log1p(-np.arange(1, K + 1) / N)
        return float(x @ y / (x @ x))
    return float((K - 1) / (x.sum() + (N - K) * x[-1]))


def scale_dimension(ratios: Floats, scale: int) -> float:
    """Estimate d from the ratios mu = r_{2n} / r_n (GRIDE); for n = 1 this is the mle.

    Args:
        ratios: (N,), 1 or more.
        scale: n.

    Raises:
        InputError: If there are fewer than 2 ratios, or all are 1.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> inner, outer = rng.gamma(4, size=(2, 4000))  # volumes of 4 and of 4 more points
        >>> f"{scale_dimension((1 + outer / inner) ** (1 / 3), scale=4):.1f}"
        '3.0'
    """
    log_mu = np.log(ratios)
    N, total = len(log_mu), float(log_mu.sum())
    if N < 2 or not total > 0:
        raise InputError(
            f"{N} ratios of neighbour distances have the mean logarithm {total / max(N, 1)}, "
            "expected at least 2 ratios, and one above 1"
        )
    positive = log_mu[log_mu > 0]

    def slope(d: float) -> float:
        # ln mu / (1 - mu^-d) tends to 1 / d as mu tends to 1
        further = (positive / -np.expm1(-d * positive)).sum() + (N - len(positive)) / d
        return (N - 1) / d + (scale - 1) * further - (2 * scale - 1) * total

    # ln mu <= ln mu / (1 - mu^-d) <= ln mu + 1 / d bounds the root from both sides.
    low = (N - 1) / (scale * total)
    high = (N - 1 + (scale - 1) * N) / (scale * total)
    return low if scale == 1 else float(brentq(slope, 0.999 * low, 1.001 * high, rtol=1e-12))


def bootstrap_sd(
    estimate: Callable[[Floats], float],
    ratios: Floats,
    blocks: Integers,
    repeats: int,
    rng: np.random.Generator,
) -> float:
    """Return the standard deviation of an estimate when whole blocks are drawn again.

    Each point keeps its neighbours: points drawn twice would be neighbours at distance 0.

    Args:
        estimate: From ratios.
        ratios: (N,).
        blocks: Label of each ratio's block, such as its trajectory, (N,).
        repeats: Number of draws, at least 2.
        rng: Draws as many blocks as there are, with replacement.

    Example:
        >>> ratios = 400 / (np.arange(400) + 0.5)  # quantiles of d = 1
        >>> rng = np.random.default_rng(0)
        >>> sd = bootstrap_sd(lambda mu: scale_dimension(mu, 1), ratios, np.arange(400), 199, rng)
        >>> f"{sd:.2f}"  # d / sqrt(N) for the mle
        '0.05'
    """
    members = [ratios[blocks == label] for label in np.unique(blocks)]
    draws = rng.integers(len(members), size=(repeats, len(members)))
    drawn = [estimate(np.concatenate([members[i] for i in draw])) for draw in draws]
    return float(np.std(drawn, ddof=1))


def _as_points(points: ArrayLike | Tensor) -> Tensor:
    tensor = points.detach() if isinstance(points, Tensor) else torch.from_numpy(np.array(points))
    if tensor.dim() != 2 or not tensor.shape[1]:
        raise InputError(f"points have shape {tuple(tensor.shape)}, expected (N, D)")
    if tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.double()
    if not torch.isfinite(tensor).all():
        bad = int((~torch.isfinite(tensor)).sum())
        raise InputError(f"points hold {bad} NaN or infinite values, expected finite ones")
    return tensor


def _distinct(points: Tensor) -> Integers:
    """Return the index of the first of each set of equal rows, ascending."""
    rows = (points + 0.0).cpu().numpy()  # -0 becomes 0: equal numbers have equal bytes
    first: dict[bytes, int] = {}
    for index, row in enumerate(rows):
        first.setdefault(row.tobytes(), index)
    return np.fromiter(first.values(), dtype=np.int64)
