"""Exact distances to the nearest neighbours, at the cost of one matrix product.

    |x_i - x_j|^2 = |x_i|^2 + |x_j|^2 - 2 x_i . x_j

is one GEMM, but cancels for points that are far from the origin and close together. The product
therefore only proposes candidates, whose distances are computed from their differences. For
centred and rounded points, D terms per product and unit roundoff u, the error of the right hand
side is at most eps (|x_i|^2 + |x_j|^2), eps = (D + 16) u / (1 - (D + 16) u): Higham 2002, "Accuracy
and stability of numerical algorithms", eq. 3.5, for the products in any order of summation, and 16
for centring, norms and sums. Ranked by the lower bounds

    (1 - eps) (|x_i|^2 + |x_j|^2) - 2 x_i . x_j  <=  |x_i - x_j|^2,

a row is certain if its k-th exact distance is below the bound of the last candidate. Other rows,
for example of distant clusters, are repeated with a float64 product and, if that does not suffice,
with all differences.

n points, D dimensions, k neighbours.
"""

import math

import torch
from torch import Tensor

from chimera.interface.errors import InputError

SPARE_CANDIDATES = 6  # beyond k: more make more rows certain, and cost one difference each
BLOCK_POINTS = 2048  # on each side of a block of the product
DIFFERENCE_ENTRIES = 2**20  # of a block of differences (cache size)


def neighbor_distances(points: Tensor, num_neighbors: int) -> Tensor:
    """Return the Euclidean distances to the k nearest other points, ascending, (n, k) in float64.

    The points are (n, D), finite, float32 or float64; a k below 1 or above n - 1 is an InputError.
    """
    n = len(points)
    if not 1 <= num_neighbors < n:
        raise InputError(f"{num_neighbors} neighbours of {n} points, expected 1 to n - 1")
    distances = torch.empty(n, num_neighbors, dtype=torch.float64, device=points.device)
    open_rows = torch.arange(n, device=points.device)
    # A product at reduced precision (TF32, bfloat16) would violate the bound.
    single = torch.get_float32_matmul_precision() == "highest"
    for dtype in (torch.float32, torch.float64) if single else (torch.float64,):
        if len(open_rows):
            distances[open_rows], certain = _by_product(points, open_rows, num_neighbors, dtype)
            open_rows = open_rows[~certain]
    for row in open_rows:
        others = _distances(points, row[None], torch.arange(n, device=points.device)[None])[0]
        others[row] = math.inf
        distances[row] = others.topk(num_neighbors, largest=False).values
    return distances


def _by_product(
    points: Tensor, rows: Tensor, num_neighbors: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Return distances (m, k) of some rows, and which of these are certain (m,)."""
    D = points.shape[1]
    unit = (D + 16) * torch.finfo(dtype).eps / 2
    epsilon = unit / (1 - unit)
    shifted = points - points.mean(dim=0, dtype=torch.float64)
    # A power of 2 is exact, and squares cannot overflow.
    scale = math.ldexp(1.0, -math.frexp(float(shifted.abs().max()))[1])
    centred = (shifted * scale).to(dtype)
    squares = torch.linalg.vector_norm(centred, dim=1, dtype=torch.float64).square()
    squares = ((1 - epsilon) * squares).to(dtype)
    bounds, candidates = _least_bounds(centred, squares, rows, num_neighbors + 1 + SPARE_CANDIDATES)
    exact = _distances(points, rows, candidates)
    # A point is its own candidate; infinite bounds are no candidates (fewer points than `count`).
    exact[(candidates == rows[:, None]) | bounds.isinf()] = math.inf
    nearest = exact.topk(num_neighbors, largest=False).values
    return nearest, (nearest[:, -1] * scale).square() <= bounds.max(dim=1).values.double()


def _least_bounds(
    centred: Tensor, squares: Tensor, rows: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Return the least lower bounds of ascending rows and the points they belong to, (m, count)."""
    symmetric = len(rows) == len(centred)  # bounds are: for all rows, half of the blocks suffice
    everyone = torch.arange(len(centred), device=rows.device)
    right_blocks = everyone.split(BLOCK_POINTS)
    shape = (len(rows), len(right_blocks), count)
    bounds = torch.full(shape, math.inf, dtype=centred.dtype, device=rows.device)
    candidates = torch.zeros(shape, dtype=torch.long, device=rows.device)

    def keep(first: int, slot: int, block: Tensor) -> None:
        least = block.topk(min(count, block.shape[1]), largest=False, sorted=False)
        place = (slice(first, first + len(block)), slot, slice(least.values.shape[1]))
        bounds[place] = least.values
        candidates[place] = least.indices + slot * BLOCK_POINTS

    for i, left in enumerate(rows.split(BLOCK_POINTS)):
        for j, right in enumerate(right_blocks):
            if symmetric and j < i:
                continue
            block = torch.addmm(squares[right], centred[left], centred[right].T, alpha=-2)
            block += squares[left, None]
            keep(i * BLOCK_POINTS, j, block)
            if symmetric and j > i:
                keep(j * BLOCK_POINTS, i, block.T.contiguous())
    least, order = bounds.flatten(1).topk(count, largest=False, sorted=False)
    return least, candidates.flatten(1).gather(1, order)


def _distances(points: Tensor, rows: Tensor, others: Tensor) -> Tensor:
    """Return |x_i - x_j| (m, k), float64, of rows (m,) and others (m, k), from the differences."""
    size = max(1, DIFFERENCE_ENTRIES // (others.shape[1] * points.shape[1]))
    distances = []
    for block, their_others in zip(rows.split(size), others.split(size), strict=True):
        differences = points[their_others].sub_(points[block, None])
        distances.append(torch.linalg.vector_norm(differences, dim=-1, dtype=torch.float64))
    return torch.cat(distances)
