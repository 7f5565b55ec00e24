"""Intrinsic dimension from the distances r_1 <= r_2 <= ... of each point to its neighbours.

If the density of points is constant over these distances, mu = r_2 / r_1 follows Pareto's law
F(mu) = 1 - mu^-d for any density (Facco et al. 2017, "Estimating the intrinsic dimension
of datasets by a minimal neighborhood information", Scientific Reports 7, 12140). With the N ratios
sorted, mu_(1) <= ... <= mu_(N), and K = int((1 - f) N) for a discarded fraction f,

    linear     slope through the origin of -ln(1 - i/N) over ln mu_(i), i = 1..K     (their fit)
    mle        d = (N - 1) / sum_i ln mu_i
    censored   d = (K - 1) / (sum_{i<=K} ln mu_(i) + (N - K) ln mu_(K))

The last two are the maximum likelihood without its bias N / (N - 1).

GRIDE uses larger scales: mu = r_{2n} / r_n has the density (Denti et al. 2022, "The generalized
ratios intrinsic dimension estimator", Scientific Reports 12, 20005, for n_1 = n and n_2 = 2n)

    d (mu^d - 1)^{n-1} / (B(n, n) mu^{(2n-1) d + 1})

whose likelihood is maximal at the only root of

    (N - 1) / d + (n - 1) sum_i ln mu_i / (1 - mu_i^-d) - (2n - 1) sum_i ln mu_i = 0,

with N - 1 in place of N, so that n = 1 gives the mle. The curve over n = 1, 2, 4, ... separates the
dimension of noise, at small scales, from that of the underlying set.

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

DimensionMethod = Literal["linear", "mle", "censored"]

MIN_DISTINCT = 10
_ROUNDING = 4.0  # roundings that may separate two copies, in units of a point's last bit
_MOST_PAIRS = 0.05


def intrinsic_dimension(
    points: ArrayLike | Tensor, discard_fraction: float = 0.1, method: DimensionMethod = "linear"
) -> float:
    """Return the intrinsic dimension of points without duplicates, from two neighbours of each.

    The points are (N, D), in any unit. The discarded fraction f is the share of the largest ratios
    that the linear fit and the censored likelihood leave out; the linear fit always leaves out the
    largest, whose -ln(1 - i/N) is infinite. It is an InputError if an argument is invalid, a value
    is not finite, fewer than 10 points are distinct, or all ratios are 1.

    >>> rng = np.random.default_rng(0)
    >>> plane = 100 + rng.random((2000, 2)) @ rng.standard_normal((2, 50))
    >>> f"{intrinsic_dimension(plane):.1f}"
    '2.0'
    """
    return dimension(distinct_neighbors(points, 2).ratios(1), discard_fraction, method)


class Neighbors(NamedTuple):
    """Distances (N, k) of the N distinct points to the k nearest others, or to all, ascending.

    The points kept, by index (N,), are the first of each set of `duplicates`, which are counted.
    """

    distances: Floats
    kept: Integers
    duplicates: int

    def ratios(self, scale: int) -> Floats:
        """Return mu = r_{2n} / r_n, (N,), for the scale n <= k / 2."""
        return self.distances[:, 2 * scale - 1] / self.distances[:, scale - 1]


def distinct_neighbors(points: ArrayLike | Tensor, num_neighbors: int) -> Neighbors:
    """Leave out duplicates of points (n, D) and find the k nearest neighbours of every other point.

    Points are duplicates if no further apart than rounding in their type could move them. It is an
    InputError if the shape is invalid, a value is not finite, fewer than 10 points are distinct,
    the distance of two underflows or overflows, or more than a twentieth of the points lie a
    thousand times nearer to one other than to the next, as copies do.
    """
    tensor = _as_points(points)
    count, kept = len(tensor), _distinct(tensor)
    for _ in range(2):
        if len(kept) < MIN_DISTINCT:
            raise InputError(
                f"{count} points of which {len(kept)} are distinct, expected {MIN_DISTINCT} or more"
            )
        chosen = tensor[torch.from_numpy(kept).to(tensor.device)]
        distances = neighbor_distances(chosen, min(num_neighbors, len(kept) - 1)).cpu().numpy()
        size = chosen.abs().amax(dim=1).double().cpu().numpy() * chosen.shape[1] ** 0.5
        rounding = _ROUNDING * torch.finfo(tensor.dtype).eps * size
        # A distance of 0 between distinct points has underflowed.
        close = np.flatnonzero((distances[:, 0] <= rounding) & (distances[:, 0] > 0))
        if not len(close):
            break
        kept = np.delete(kept, _copies(chosen, close, rounding))
    if not (np.isfinite(distances).all() and distances[:, 0].all()):
        stated = f"distances of neighbours are between {distances.min()} and {distances.max()}"
        raise InputError(f"{stated}, expected positive finite ones: rescale the points")
    # A line has a thousandth of such ratios.
    pairs = float((distances[:, 1] > 1000 * distances[:, 0]).mean())
    if pairs > _MOST_PAIRS:
        raise InputError(
            f"{pairs:.0%} of the points are a thousand times nearer to one other than to the next, "
            f"expected at most {_MOST_PAIRS:.0%}: remove copies that differ by little"
        )
    return Neighbors(distances, kept, count - len(kept))


def dimension(
    ratios: Floats, discard_fraction: float = 0.1, method: DimensionMethod = "linear"
) -> float:
    """Estimate d from the ratios mu = r_2 / r_1 (N,); other args as for `intrinsic_dimension`."""
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
    """Estimate d from the ratios mu = r_{2n} / r_n (N,), for the scale n (GRIDE)."""
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
    """Return the standard deviation of an estimate over bootstraps of whole blocks.

    The ratios (N,) are resampled, not the points: points drawn twice would be neighbours at
    distance 0. `blocks` (N,) labels the block of each ratio, such as its trajectory.
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
    if bad := int((~torch.isfinite(tensor)).sum()):
        raise InputError(f"points hold {bad} NaN or infinite values, expected finite ones")
    return tensor


def _distinct(points: Tensor) -> Integers:
    """Return the index of the first of each set of equal rows, ascending."""
    rows = (points + 0.0).contiguous().cpu().numpy()  # -0 becomes 0: equal numbers, equal bytes
    as_bytes = rows.view(f"V{rows.itemsize * rows.shape[1]}")
    return np.sort(np.unique(as_bytes, return_index=True)[1])


def _copies(points: Tensor, close: Integers, rounding: Floats) -> Integers:
    """Return which of the close points (m,), by index, lie within rounding of an earlier one."""
    candidates = points[torch.from_numpy(close).to(points.device)]
    left_out: set[int] = set()
    for place, index in enumerate(close):
        if index not in left_out:
            apart = torch.linalg.vector_norm(candidates[place + 1 :] - candidates[place], dim=1)
            near = (apart.cpu().numpy() <= rounding[index]).nonzero()[0]
            left_out.update(close[place + 1 + near].tolist())
    return np.array(sorted(left_out), dtype=np.int64)
