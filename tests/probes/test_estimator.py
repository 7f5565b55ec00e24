"""The estimators against reference values, exact distributions and scikit-dimension."""

import math

import numpy as np
import pytest
import skdim
import torch
from scipy import optimize, special

from chimera.interface.errors import InputError
from chimera.probes.twonn.estimator import (
    bootstrap_sd,
    dimension,
    distinct_neighbors,
    intrinsic_dimension,
    scale_dimension,
)


def cube(d):
    def points(r):
        U = r.random((2000, d))
        return U @ np.linalg.qr(r.standard_normal((50, d)))[0].T

    return points


def swiss_roll(r):
    u = r.random((2000, 2))
    t = 1.5 * np.pi * (1 + 2 * u[:, 0])
    return np.c_[t * np.cos(t), 21 * u[:, 1], t * np.sin(t)]


def sphere5(r):
    g = r.standard_normal((2000, 6))
    return g / np.linalg.norm(g, axis=1, keepdims=True)


# Name: points, linear with f = 0.1, mle, and mean and sd of linear over the seeds 0 to 19: measured
# with scikit-dimension 0.5.0 and DADApy 0.3.4.
REFERENCE = {
    "cube 2": (cube(2), 1.991039, 1.979779, 1.987, 0.050),
    "cube 5": (cube(5), 4.723459, 4.736761, 4.68, 0.16),
    "cube 10": (cube(10), 8.200759, 8.196261, 8.50, 0.33),
    "swiss roll": (swiss_roll, 2.037889, 2.017046, 1.98, 0.07),
    "S5": (sphere5, 4.869483, 4.843945, 4.98, 0.16),
}


@pytest.mark.parametrize("name", REFERENCE)
def test_reference_values(name):
    points, linear, mle, *_ = REFERENCE[name]
    X = points(np.random.default_rng(0))
    assert intrinsic_dimension(X) == pytest.approx(linear, abs=1e-5)
    assert intrinsic_dimension(X, method="mle") == pytest.approx(mle, abs=1e-5)
    assert intrinsic_dimension(X.astype(np.float32)) == pytest.approx(linear, abs=1e-5)


@pytest.mark.parametrize("name", REFERENCE)
def test_reference_spread_over_seeds(name):
    points, _, _, mean, sd = REFERENCE[name]
    found = [intrinsic_dimension(points(np.random.default_rng(seed))) for seed in range(20)]
    assert np.mean(found) == pytest.approx(mean, abs=0.005)
    assert np.std(found, ddof=1) == pytest.approx(sd, abs=0.005)


@pytest.mark.parametrize("f", [0.1, 0.25, 0.5])
@pytest.mark.parametrize(("n", "D", "dtype"), [(400, 12, np.float64), (800, 100, np.float32)])
def test_agrees_with_scikit_dimension(n, D, dtype, f):
    X = np.random.default_rng(n).standard_normal((n, D)).astype(dtype)
    for method, theirs in (("linear", "linear"), ("censored", "mle")):
        expected = skdim.id.TwoNN(discard_fraction=f, method=theirs).fit(X.astype(float))
        assert intrinsic_dimension(X, f, method) == pytest.approx(expected.dimension_, rel=1e-5)


@pytest.mark.parametrize("d", [1.5, 4.0, 12.0])
@pytest.mark.parametrize("method", ["linear", "mle", "censored"])
def test_paretos_law(d, method):
    """mu = u^(-1/d) has F(mu) = 1 - mu^-d; the mle's relative sd is 1 / sqrt(N), others' near."""
    u = np.random.default_rng(0).random(40_000)
    assert dimension(u ** (-1 / d), 0.1, method) == pytest.approx(d, rel=5 / math.sqrt(40_000))


def test_formulas_on_a_few_ratios():
    ratios = np.exp([4.0, 1.0, 2.0, 3.0])
    assert dimension(ratios, method="mle") == pytest.approx(3 / 10)
    assert dimension(ratios, 0.5, "censored") == pytest.approx(1 / (1 + 2 + 2 * 2))
    assert dimension(ratios, 0.0, "censored") == pytest.approx(3 / 10)
    y = [-math.log(3 / 4), -math.log(2 / 4), -math.log(1 / 4)]
    for f, K in ((0.5, 2), (0.25, 3), (0.0, 3)):
        x = [1.0, 2.0, 3.0][:K]
        slope = sum(a * b for a, b in zip(x, y, strict=False)) / sum(a * a for a in x)
        assert dimension(ratios, f) == pytest.approx(slope)


@pytest.mark.parametrize("scale", [2, 4, 16])
@pytest.mark.parametrize("d", [2.0, 9.0])
def test_gride_on_its_own_law(scale, d):
    """Volumes up to the k-th neighbour are sums of k exponentials and proportional to r^d.

    In a batch of independent points the relative sd of the estimate is below 1 / sqrt(N).
    """
    inner, outer = np.random.default_rng(scale).gamma(scale, size=(2, 20_000))
    ratios = (1 + outer / inner) ** (1 / d)
    assert scale_dimension(ratios, scale) == pytest.approx(d, rel=4 / math.sqrt(20_000))


@pytest.mark.parametrize("scale", [1, 2, 8])
def test_gride_maximises_the_likelihood(scale):
    """The density of the docstring, its power of d lowered to N - 1, maximised numerically."""
    X = np.random.default_rng(3).standard_normal((150, 6))
    mu = distinct_neighbors(X, 2 * scale).ratios(scale)

    def minus_log_likelihood(d):
        terms = (scale - 1) * np.log(mu**d - 1) - ((2 * scale - 1) * d + 1) * np.log(mu)
        return -(terms + math.log(d) - special.betaln(scale, scale)).sum() + math.log(d)

    best = optimize.minimize_scalar(
        minus_log_likelihood, bounds=(0.5, 20), method="bounded", options={"xatol": 1e-8}
    )
    assert scale_dimension(mu, scale) == pytest.approx(best.x, rel=1e-5)


@pytest.mark.parametrize("name", REFERENCE)
def test_gride_at_the_first_scale_is_the_mle(name):
    points, _, mle, *_ = REFERENCE[name]
    neighbors = distinct_neighbors(points(np.random.default_rng(0)), 2)
    assert scale_dimension(neighbors.ratios(1), 1) == pytest.approx(mle, abs=1e-5)


def test_gride_sees_through_noise():
    """A plane in 20 dimensions with noise below its spacing at n = 32, above it at n = 1."""
    r = np.random.default_rng(0)
    plane = np.pad(r.random((3000, 2)), ((0, 0), (0, 18)))
    X = plane + 0.01 * r.standard_normal(plane.shape)
    neighbors = distinct_neighbors(X, 256)
    curve = [scale_dimension(neighbors.ratios(n), n) for n in (1, 4, 16, 64, 128)]
    assert curve == sorted(curve, reverse=True)
    assert curve[0] > 6
    assert curve[-1] == pytest.approx(2, abs=0.3)


def test_ratios_of_one_are_kept():
    """A tie, ln mu = 0, counts as a point: its term of the likelihood is 1 / d."""
    log_mu = np.array([0.0, 0.1, 0.3])
    d = scale_dimension(np.exp(log_mu), 2)
    further = 1 / d + sum(x / (1 - math.exp(-d * x)) for x in log_mu[1:])
    assert 2 / d + further - 3 * log_mu.sum() == pytest.approx(0, abs=1e-9)


def test_offset_scale_order_and_kind_do_not_matter():
    r = np.random.default_rng(0)
    X = r.standard_normal((500, 30))
    expected = intrinsic_dimension(X)
    assert intrinsic_dimension(X[r.permutation(500)]) == pytest.approx(expected, rel=1e-9)
    assert intrinsic_dimension(1e-8 * X) == pytest.approx(expected, rel=1e-9)
    assert intrinsic_dimension(X + 1e5) == pytest.approx(expected, rel=1e-6)
    assert intrinsic_dimension(torch.from_numpy(X)) == expected
    assert intrinsic_dimension(X.tolist()) == expected
    assert intrinsic_dimension(X[:, ::-1]) == pytest.approx(expected, rel=1e-9)
    weights = torch.from_numpy(X).float().requires_grad_()
    assert intrinsic_dimension(weights) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("trap", ["offset", "clusters", "channel"])
def test_float32_traps(trap):
    """Points for which a plain float32 Gram matrix fails, against the same numbers in float64."""
    X = np.random.default_rng(0).random((600, 3)) @ np.random.default_rng(1).random((3, 64))
    X = X.astype(np.float32)
    if trap == "offset":
        X += 100
    elif trap == "clusters":
        X[::2] += 1000
    else:
        X[:, 5] *= 10_000
    wide = X.astype(np.float64)
    r1, r2 = np.sort(np.linalg.norm(wide[:, None] - wide, axis=2), axis=1)[:, 1:3].T
    assert (r1 > 0).all()
    assert intrinsic_dimension(X) == pytest.approx(dimension(r2 / r1), rel=1e-5)


def test_duplicates_are_left_out_and_counted():
    X = np.random.default_rng(0).standard_normal((300, 5))
    X[0, 0] = 0.0
    twice = np.concatenate([X, X[:100], X[:50]])
    twice[300, 0] = -0.0  # equal all the same
    found = distinct_neighbors(twice, 2)
    assert found.duplicates == 150
    np.testing.assert_array_equal(found.kept, np.arange(300))
    assert intrinsic_dimension(twice) == intrinsic_dimension(X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_copies_that_differ_in_the_last_bit_are_duplicates(dtype):
    X = np.random.default_rng(0).standard_normal((300, 5)).astype(dtype)
    up, down = (np.nextafter(X[:150], dtype(side)) for side in (9, -9))
    found = distinct_neighbors(np.concatenate([X, up, down]), 2)
    assert found.duplicates == 300
    assert intrinsic_dimension(np.concatenate([X, up, down])) == intrinsic_dimension(X)


def test_copies_beyond_rounding_are_refused():
    X = np.random.default_rng(0).standard_normal((300, 5))
    with pytest.raises(InputError, match="67% of the points are a thousand times nearer"):
        intrinsic_dimension(np.concatenate([X, X[:150] + 1e-8]))


def test_bootstrap_draws_whole_blocks():
    """100 equal ratios a block: the spread is that of 20 numbers, not of 2000."""
    r = np.random.default_rng(0)
    own = r.random(20)
    blocks = np.repeat(np.arange(20), 100)

    def mean_log(mu):
        return float(np.log(mu).mean())

    sd = bootstrap_sd(mean_log, np.exp(own[blocks]), blocks, 2000, r)
    assert sd == pytest.approx(own.std() / math.sqrt(20), rel=0.1)
    alone = bootstrap_sd(mean_log, np.exp(own[blocks]), np.arange(2000), 200, r)
    assert alone == pytest.approx(own.std() / math.sqrt(2000), rel=0.3)


X = np.random.default_rng(0).standard_normal((20, 3))


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (X[:9], "9 points of which 9 are distinct, expected 10 or more"),
        (np.ones((50, 3)), "50 points of which 1 are distinct"),
        (np.repeat(X[:5], 10, axis=0), "50 points of which 5 are distinct"),
        (np.where(X > 1, np.nan, X), r"points hold \d+ NaN or infinite values"),
        (np.full((20, 3), np.inf), "points hold 60 NaN or infinite values"),
        (X[:, 0], r"points have shape \(20,\), expected \(N, D\)"),
        (X[None], r"points have shape \(1, 20, 3\)"),
        (X[:, :0], r"points have shape \(20, 0\)"),
        (X * 1e200, "rescale the points"),
        (X * 1e-200, "rescale the points"),
        (np.eye(12), "12 ratios of neighbour distances are kept, the largest being 1,"),
    ],
)
def test_bad_points_are_one_sentence(points, message):
    with pytest.raises(InputError, match=message) as error:
        intrinsic_dimension(points)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("f", [-0.1, 1.0, 1.5, math.nan])
def test_bad_fraction(f):
    with pytest.raises(InputError, match=r"fraction is .*, expected 0 <= \.\.\. < 1"):
        intrinsic_dimension(X, f)


def test_too_few_kept_and_unknown_method():
    with pytest.raises(InputError, match="1 of 20 ratios"):
        intrinsic_dimension(X, 0.95)
    with pytest.raises(InputError, match="'median', expected linear, mle or censored"):
        intrinsic_dimension(X, method="median")
    with pytest.raises(InputError, match="mean logarithm 0"):
        scale_dimension(np.ones(5), 2)
