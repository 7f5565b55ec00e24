"""The tree against all pairs, in any arrangement of the points."""

import numpy as np
import pytest

from chimera.probes.ib.max_norm import count_within, grow, nearest


def arrangements():
    r = np.random.default_rng(0)
    return {
        "uniform": r.random((300, 3)),
        "heavy tails": r.standard_cauchy((257, 2)),
        "two far clusters": r.standard_normal((200, 4)) + 1e6 * r.integers(2, size=(200, 1)),
        "a lattice with copies": r.integers(4, size=(300, 2)).astype(float),
        "all equal but one": np.concatenate([np.zeros((99, 2)), np.ones((1, 2))]),
        "fewer than a leaf holds": r.random((7, 1)),
        "sorted": np.arange(500.0)[:, None],
    }


def all_distances(points):
    return np.abs(points[:, None] - points).max(axis=2)


@pytest.mark.parametrize("name", arrangements())
def test_neighbours_and_counts_are_those_of_all_pairs(name):
    points = arrangements()[name]
    distances = all_distances(points)
    others = distances + np.diag(np.full(len(points), np.inf))
    tree = grow(points)
    for k in (1, 5):
        found, who = nearest(tree, k)
        np.testing.assert_array_equal(found, np.sort(others, axis=1)[:, :k])
        rows = np.arange(len(points))[:, None]
        np.testing.assert_array_equal(others[rows, who], found)
        assert all(len(set(row)) == k for row in who.tolist())
    radii = others.min(axis=1) * np.random.default_rng(1).integers(4, size=len(points))
    np.testing.assert_array_equal(
        count_within(tree, radii), (distances <= radii[:, None]).sum(axis=1)
    )


def test_growing_leaves_the_points_as_they_were():
    points = np.random.default_rng(0).random((100, 2))
    before = points.copy()
    tree = grow(points)
    np.testing.assert_array_equal(points, before)
    np.testing.assert_array_equal(tree.points, points[tree.order])
