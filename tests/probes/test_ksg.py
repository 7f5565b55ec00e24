"""The estimator against its formulas, published software, Gaussian values and known limits."""

import re

import numpy as np
import pytest
import torch
from npeet_plus import mi as npeet_information
from scipy.special import digamma
from sklearn.feature_selection import mutual_info_regression

from chimera.interface.errors import InputError
from chimera.probes.ib.ksg import count_within, mutual_information, rank, shuffled_information


def gaussian_pairs(n, d, rho, rng):
    x = rng.standard_normal((n, d))
    return x, rho * x + np.sqrt(1 - rho**2) * rng.standard_normal((n, d))


def brute_force(x, y, k, variant):
    """Kraskov et al. 2004, equations 8 and 9, from all pairs."""
    n = len(x)
    sides = [np.abs(side[:, None] - side).max(axis=2) for side in (x, y)]
    for side in sides:
        np.fill_diagonal(side, np.inf)
    joint = np.maximum(*sides)
    neighbors = np.argsort(joint, axis=1)[:, :k]
    rows = np.arange(n)
    if variant == 1:
        radius = joint[rows, neighbors[:, -1]][:, None]
        psi = [digamma((side < radius).sum(axis=1) + 1).mean() for side in sides]
        return digamma(k) + digamma(n) - sum(psi)
    radii = [side[rows[:, None], neighbors].max(axis=1)[:, None] for side in sides]
    counts = [(side <= radius).sum(axis=1) for side, radius in zip(sides, radii, strict=True)]
    return digamma(k) - 1 / k + digamma(n) - digamma(counts).mean(axis=1).sum()


def arrangements():
    r = np.random.default_rng(0)
    return {
        "uniform": r.random((300, 3)),
        "heavy tails": r.standard_cauchy((257, 2)),
        "two far clusters": r.standard_normal((200, 4)) + 1e6 * r.integers(2, size=(200, 1)),
        "a lattice with copies": r.integers(4, size=(300, 2)).astype(float),
        "all equal but one": np.concatenate([np.zeros((99, 2)), np.ones((1, 2))]),
        "few": r.random((7, 1)),
        "sorted": np.arange(500.0)[:, None],
    }


@pytest.mark.parametrize("name", arrangements())
def test_counts_are_those_of_all_pairs(name):
    points = arrangements()[name]
    before = points.copy()
    distances = np.abs(points[:, None] - points).max(axis=2)
    nearest = (distances + np.diag(np.full(len(points), np.inf))).min(axis=1)
    radii = nearest * np.random.default_rng(1).integers(4, size=len(points))
    expected = (distances <= radii[:, None]).sum(axis=1)
    np.testing.assert_array_equal(count_within(points, radii), expected)
    np.testing.assert_array_equal(points, before)


@pytest.mark.parametrize(
    ("d", "rho", "n", "expected"),
    [
        (1, 0.5, 2000, 0.128887),
        (1, 0.5, 10000, 0.145472),
        (1, 0.9, 2000, 0.834653),
        (1, 0.9, 10000, 0.829710),
        (1, 0.99, 2000, 1.974674),
        (1, 0.99, 10000, 1.974228),
        (5, 0.9, 2000, 2.876266),
        (5, 0.9, 10000, 3.344836),
    ],
)
def test_table_of_gaussian_pairs(d, rho, n, expected):
    x, y = gaussian_pairs(n, d, rho, np.random.default_rng(0))
    assert mutual_information(x, y) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("variant", [1, 2])
@pytest.mark.parametrize("k", [1, 3, 7])
def test_all_pairs_give_the_same(variant, k):
    r = np.random.default_rng([variant, k])
    for d_x, d_y in ((1, 1), (2, 3)):
        shared = r.standard_normal((300, 1))
        x = shared + r.standard_normal((300, d_x))
        y = np.exp(shared) * r.standard_cauchy((300, d_y))
        expected = brute_force(x, y, k, variant)
        assert mutual_information(x, y, k, variant) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("d", [1, 3])
def test_npeet_gives_the_same(d):
    x, y = gaussian_pairs(1500, d, 0.8, np.random.default_rng(d))
    expected = npeet_information(x, y, k=3, base=np.e)
    assert mutual_information(x, y) == pytest.approx(expected, abs=1e-5)


def test_scikit_learn_gives_the_same():
    x, y = gaussian_pairs(1500, 1, 0.8, np.random.default_rng(4))
    x, y = x / x.std(), y / y.std()
    expected = mutual_info_regression(x, y[:, 0], n_neighbors=5, random_state=0)[0]
    assert mutual_information(x, y, num_neighbors=5) == pytest.approx(expected, abs=1e-5)


def test_ties_of_a_lattice_are_strict_in_variant_1_only():
    n, x = 12, np.arange(12.0)  # every nearest neighbour is 1 away
    assert mutual_information(x, x, 1) == pytest.approx(digamma(n) - digamma(1), abs=1e-12)
    psi = ((n - 2) * digamma(2) + 2 * digamma(1)) / n  # two neighbours no further, one at the ends
    expected = digamma(1) - 1 + digamma(n) - 2 * psi
    assert mutual_information(x, x, 1, variant=2) == pytest.approx(expected, abs=1e-12)


def test_a_function_of_x_measures_the_number_of_samples():
    r = np.random.default_rng(0)
    for n in (100, 1000, 10000):  # k - 1 samples are nearer on both sides
        x = r.random(n)
        assert mutual_information(x, -x) == pytest.approx(digamma(n) - digamma(3), abs=1e-9)


def test_scales_within_a_side_matter_and_a_common_one_does_not():
    x, y = gaussian_pairs(2000, 1, 0.9, np.random.default_rng(0))
    assert mutual_information(x, 1000 * y) == pytest.approx(0.144, abs=5e-4)
    assert mutual_information(4 * x, 4 * y) == mutual_information(x, y)


def test_saturation_shows_in_a_known_truth_and_not_in_shuffles():
    x, y = gaussian_pairs(2000, 10, 0.9, r := np.random.default_rng(0))
    truth = -10 / 2 * np.log(1 - 0.9**2)
    assert mutual_information(x, y) == pytest.approx(3.13, abs=0.1)  # of another draw
    assert truth == pytest.approx(8.30, abs=5e-3)
    assert mutual_information(x, r.permutation(y)) == pytest.approx(0, abs=0.05)


def test_arrays_tensors_sides_and_orders():
    x, y = gaussian_pairs(200, 1, 0.9, r := np.random.default_rng(0))
    value = mutual_information(x, y)
    assert mutual_information(x[:, 0], torch.from_numpy(y).requires_grad_()) == value
    order = r.permutation(200)
    assert mutual_information(y, x) == pytest.approx(value, abs=1e-12)
    assert mutual_information(x[order], y[order]) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("rho", [0.0, 0.95])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_shuffled_estimates_are_the_direct_ones(rho, k):
    x, y = gaussian_pairs(240, 2, rho, r := np.random.default_rng(0))
    y = np.hstack([y, r.standard_cauchy((240, 1))])
    orders = np.stack([np.arange(240), np.arange(240)[::-1], *r.permuted([range(240)] * 3, axis=1)])
    shuffled = shuffled_information(rank(x), y, orders, k)
    direct = [mutual_information(x, y[order], k) for order in orders]
    np.testing.assert_allclose(shuffled, direct, atol=1e-12)


def test_shuffles_take_few_neighbours():
    side = rank(np.random.default_rng(0).random((20, 1)))
    with pytest.raises(InputError, match="num_neighbors is 6, expected 1 to 5"):
        shuffled_information(side, side.points, np.arange(20)[None], 6)


good = np.random.default_rng(0).standard_normal(20)


@pytest.mark.parametrize(
    ("x", "y", "options", "said"),
    [
        (good[:9], good[:9], {}, "x has 9 samples, expected 10 or more"),
        (good, good[:12], {}, "x has 20 samples and y 12, expected as many"),
        (good, np.ones(20), {}, "y is constant at [1.0], expected values that vary"),
        (np.where(good > 1, np.nan, good), good, {}, "x holds"),
        (good, np.where(good > 1, np.inf, good), {}, "y holds"),
        (good, good, {"num_neighbors": 20}, "num_neighbors is 20, expected 1 to 19 of 20 samples"),
        (good, good, {"num_neighbors": 0}, "num_neighbors is 0, expected 1 to 19"),
        (good, good, {"variant": 3}, "variant is 3, expected 1 or 2"),
        (good[:, None, None], good, {}, "x has shape (20, 1, 1), expected (n,) or (n, d)"),
        (good, np.empty((20, 0)), {}, "y has shape (20, 0), expected (n,) or (n, d)"),
        (np.tile(good[:5], 4), np.tile(good[:5], 4), {}, "20 samples have 3 or more exact copies"),
    ],
)
def test_what_cannot_be_estimated_is_one_sentence(x, y, options, said):
    with pytest.raises(InputError, match=re.escape(said)):
        mutual_information(x, y, **options)


def test_copies_in_one_side_alone_are_counted_as_they_are():
    x = np.repeat(good, 20)
    y = np.random.default_rng(1).standard_normal(400)
    expected = brute_force(x[:, None], y[:, None], 3, 1)
    assert mutual_information(x, y) == pytest.approx(expected, abs=1e-10)
