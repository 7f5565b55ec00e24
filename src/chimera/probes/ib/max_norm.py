"""Nearest neighbours and counts of neighbours in the max norm, by a k-d tree.

    |a - b| = max_j |a_j - b_j|

A node of the tree is a run of points and the box around them; it is split at the median of its
widest side (Friedman, Bentley & Finkel 1977, "An algorithm for finding best matches in logarithmic
expected time"). A node is passed over where its box is too far away, and counted as a whole where
all of it is near enough. Distances are differences of float64 coordinates, without rounding beyond
that of the subtraction, so that one distance is the same number in every space that it is taken in.

n points, D coordinates, k neighbours.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from chimera.statistics.resampling.samples import Floats, Integers

_LEAF_SIZE = 16
_STACK = 128  # nodes that wait; their number stays below the depth of the tree, log2(n)


class Tree(NamedTuple):
    """A k-d tree: a complete binary tree, in which node i has the children 2 i + 1 and 2 i + 2.

    A node holds the points from its `first` up to but without its `last`, in a box with the corners
    `low` and `high`. The points (n, D) are in the tree's order: `order` (n,) has the index of each
    in the points that the tree was grown from.
    """

    points: Floats
    order: Integers
    first: Integers
    last: Integers
    low: Floats
    high: Floats


def grow(points: Floats) -> Tree:
    """Return the tree of points (n, D)."""
    return Tree(*_grow(np.ascontiguousarray(points, dtype=np.float64)))


@njit(cache=True)
def _select(points, order, axis, left, right, middle):  # type: ignore[no-untyped-def]
    """Reorder left..right: none before `middle` exceeds it, nor it any after (Hoare 1961)."""
    while left < right:
        pivot = points[order[(left + right) // 2], axis]
        i, j = left, right
        while i <= j:
            while points[order[i], axis] < pivot:
                i += 1
            while points[order[j], axis] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if j < middle:
            left = i
        if middle < i:
            right = j


@njit(cache=True)
def _grow(points):  # type: ignore[no-untyped-def]
    n, D = points.shape
    depth = 0
    while n > _LEAF_SIZE << depth:
        depth += 1
    inner, nodes = (1 << depth) - 1, (2 << depth) - 1
    order = np.arange(n)
    first, last = np.zeros(nodes, np.int64), np.zeros(nodes, np.int64)
    low, high = np.empty((nodes, D)), np.empty((nodes, D))
    last[0] = n
    for node in range(nodes):
        start, stop, widest = first[node], last[node], 0
        for j in range(D):
            low[node, j], high[node, j] = np.inf, -np.inf
            for i in range(start, stop):
                low[node, j] = min(low[node, j], points[order[i], j])
                high[node, j] = max(high[node, j], points[order[i], j])
            if high[node, j] - low[node, j] > high[node, widest] - low[node, widest]:
                widest = j
        if node < inner:
            middle = (start + stop) // 2
            _select(points, order, widest, start, stop - 1, middle)
            first[2 * node + 1], last[2 * node + 1] = start, middle
            first[2 * node + 2], last[2 * node + 2] = middle, stop
    ordered = np.empty((n, D))
    for i in range(n):
        ordered[i] = points[order[i]]
    return ordered, order, first, last, low, high


@njit(cache=True)
def _gap(point, low, high):  # type: ignore[no-untyped-def]
    gap = 0.0
    for j in range(len(point)):
        gap = max(gap, low[j] - point[j], point[j] - high[j])
    return gap


@njit(cache=True)
def nearest(tree: Tree, k: int) -> tuple[Floats, Integers]:
    """Return each point's k nearest others: distances (n, k), ascending, and indices (n, k)."""
    points, order, first, last, low, high = tree
    n, D = points.shape
    inner = len(first) // 2
    distances, indices = np.full((n, k), np.inf), np.zeros((n, k), np.int64)
    waiting, gaps = np.zeros(_STACK, np.int64), np.zeros(_STACK)
    for i in range(n):
        point = points[i]
        found, who = distances[order[i]], indices[order[i]]
        top, waiting[0], gaps[0] = 1, 0, 0.0
        while top:
            top -= 1
            node = waiting[top]
            if gaps[top] >= found[k - 1]:
                continue
            while node < inner:  # down to the leaf on this side; the other child waits
                near, far = 2 * node + 1, 2 * node + 2
                near_gap = _gap(point, low[near], high[near])
                far_gap = _gap(point, low[far], high[far])
                if far_gap < near_gap:
                    near, far, near_gap, far_gap = far, near, far_gap, near_gap
                if far_gap < found[k - 1]:
                    waiting[top], gaps[top] = far, far_gap
                    top += 1
                node = near
            for other in range(first[node], last[node]):
                distance = 0.0
                for j in range(D):
                    distance = max(distance, abs(points[other, j] - point[j]))
                if distance < found[k - 1] and other != i:
                    place = k - 1
                    while place > 0 and found[place - 1] > distance:
                        found[place], who[place] = found[place - 1], who[place - 1]
                        place -= 1
                    found[place], who[place] = distance, order[other]
    return distances, indices


@njit(cache=True)
def count_within(tree: Tree, radii: Floats) -> Integers:
    """Count the points no further than a radius (n,) of its own from each, itself included."""
    points, order, first, last, low, high = tree
    n, D = points.shape
    inner = len(first) // 2
    counts = np.zeros(n, np.int64)
    waiting = np.zeros(_STACK, np.int64)
    for i in range(n):
        point, radius = points[i], radii[order[i]]
        count = 0
        top, waiting[0] = 1, 0
        while top:
            top -= 1
            node = waiting[top]
            gap, reach = 0.0, 0.0
            for j in range(D):
                below, above = point[j] - low[node, j], high[node, j] - point[j]
                gap = max(gap, -below, -above)
                reach = max(reach, below, above)
            if gap > radius:
                continue
            if reach <= radius:
                count += last[node] - first[node]
            elif node < inner:
                waiting[top], waiting[top + 1] = 2 * node + 1, 2 * node + 2
                top += 2
            else:
                for other in range(first[node], last[node]):
                    distance = 0.0
                    for j in range(D):
                        distance = max(distance, abs(points[other, j] - point[j]))
                    count += distance <= radius
        counts[order[i]] = count
    return counts
