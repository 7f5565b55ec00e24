"""Plateaus of sets whose dimension is known, and none where it depends on the scale."""

import numpy as np
import pytest

from chimera.probes.twonn.estimator import distinct_neighbors, scale_dimension
from chimera.probes.twonn.scales import cube_curves, find_plateau

SCALES = (1, 2, 4, 8, 16)
COUNT = 1000


@pytest.fixture(scope="module")
def cubes():
    return cube_curves(COUNT, SCALES, np.random.default_rng(0))


def plateau(points, cubes):
    found = distinct_neighbors(points, 2 * SCALES[-1])
    return find_plateau([scale_dimension(found.ratios(n), n) for n in SCALES], SCALES, cubes)


@pytest.mark.parametrize("d", [1, 2, 5, 10])
def test_a_cube_and_a_sphere_have_their_dimension(d, cubes):
    r = np.random.default_rng(d)
    g = r.standard_normal((COUNT, d + 1))
    for points in (r.random((COUNT, d)), g / np.linalg.norm(g, axis=1)[:, None]):
        found = plateau(points @ np.linalg.qr(r.standard_normal((20, points.shape[1])))[0].T, cubes)
        assert found.low <= d <= found.high


def test_noise_about_a_line_has_no_plateau(cubes):
    """In three dimensions at small scales, in one at large."""
    r = np.random.default_rng(0)
    line = np.outer(r.random(COUNT), [1.0, 1.0, 1.0]) + 5e-3 * r.standard_normal((COUNT, 3))
    assert plateau(line, cubes) is None


def test_a_curve_that_only_falls_has_no_plateau(cubes):
    assert find_plateau([8.0, 7.0, 6.0, 5.0, 4.0], SCALES, cubes) is None


def test_a_plateau_says_its_scales(cubes):
    found = find_plateau([6.0, 2.0, 2.0, 2.0, 2.0], SCALES, cubes)
    assert (found.first_scale, found.last_scale) == (2, 16)
    assert found.low == pytest.approx(0.88 * 2.0)  # the mean estimate, 12% lower
    assert 2.2 <= found.high < 2.7


def test_a_dimension_beyond_the_last_cube_has_no_range(cubes):
    assert find_plateau([500.0] * 5, SCALES, cubes) is None
