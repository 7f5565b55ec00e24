"""Intervals against exact coverage, complete enumeration, and what other libraries give."""

import itertools
import math
import sys
from pathlib import Path

import numpy as np
import pingouin
import pytest
from numpy.typing import NDArray
from scipy import stats

from chimera.statistics import Interval, bca_interval, percentile_interval, t_interval

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from two_way import satterthwaite_interval

OF_A_SAMPLE = [t_interval, percentile_interval, bca_interval]
BOOTSTRAP = [percentile_interval, bca_interval]


def coverage(intervals, truth: float = 0.0) -> float:
    return float(np.mean([low <= truth <= high for low, high in intervals]))


def monte_carlo_error(rate: float, trials: int) -> float:
    """Three and a half standard errors of a rate seen in so many trials."""
    return 3.5 * math.sqrt(rate * (1 - rate) / trials)


def crossed(
    rng: np.random.Generator, split: tuple[float, float, float], shape: tuple[int, int, int]
) -> NDArray[np.float64]:
    """Studies (S, R, T) of mean zero whose variance is split over seed, trajectory and the rest."""
    S, R, T = shape
    seed, trajectory, rest = np.sqrt(np.array(split) / sum(split))
    return (
        seed * rng.standard_normal((S, R, 1))
        + trajectory * rng.standard_normal((S, 1, T))
        + rest * rng.standard_normal(shape)
    )


def test_t_interval_is_scipys():
    v = np.random.default_rng(0).normal(1, 2, 7)
    expected = stats.ttest_1samp(v, 0).confidence_interval(0.9)
    assert t_interval(v, 0.9) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("num_replicates", [3, 5, 10])
def test_t_interval_covers_normal_means(num_replicates):
    draws = np.random.default_rng(1).normal(0.3, 2, (4000, num_replicates))
    assert coverage(map(t_interval, draws), 0.3) == pytest.approx(
        0.95, abs=monte_carlo_error(0.95, 4000)
    )


@pytest.mark.parametrize(
    ("interval", "num_replicates", "expected"),
    [
        (percentile_interval, 3, 0.736),
        (percentile_interval, 5, 0.841),
        (percentile_interval, 10, 0.910),
        (bca_interval, 3, 0.709),
        (bca_interval, 5, 0.840),
        (bca_interval, 10, 0.905),
    ],
)
def test_bootstrap_intervals_fall_short_by_a_known_amount(interval, num_replicates, expected):
    rng = np.random.default_rng(num_replicates)
    draws = rng.standard_normal((1500, num_replicates))
    found = coverage(interval(d, num_resamples=599, rng=rng) for d in draws)
    # The reference comes from a simulation too.
    assert found == pytest.approx(expected, abs=math.sqrt(2) * monte_carlo_error(expected, 1500))


def test_percentile_interval_of_three_is_their_range():
    """P(resample = min) = 1/27 > 0.025, so it covers unless all three fall on one side: 1 - 2/8."""
    draws = np.random.default_rng(2).standard_normal((1500, 3))
    intervals = [percentile_interval(d, num_resamples=2999) for d in draws]
    np.testing.assert_allclose([i.low for i in intervals], draws.min(axis=1))
    np.testing.assert_allclose([i.high for i in intervals], draws.max(axis=1))
    assert coverage(intervals) == pytest.approx(0.75, abs=monte_carlo_error(0.75, 1500))


def complete_bca(values: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """Efron & Tibshirani's equations 14.9 to 14.15 over all n^n resamples."""
    n = len(values)
    means = np.array([math.fsum(r) / n for r in itertools.product(values, repeat=n)])
    mean = math.fsum(values) / n
    z0 = stats.norm.ppf(((means < mean).mean() + (means <= mean).mean()) / 2)
    jackknife = np.array([np.delete(values, i).mean() for i in range(n)])
    deviation = jackknife.mean() - jackknife
    a = (deviation**3).sum() / (6 * (deviation**2).sum() ** 1.5)
    z = z0 + stats.norm.ppf([(1 - confidence) / 2, (1 + confidence) / 2])
    low, high = np.quantile(means, stats.norm.cdf(z0 + z / (1 - a * z)))
    return float(low), float(high)


@pytest.mark.parametrize("seed", range(4))
def test_bca_interval_agrees_with_complete_enumeration(seed):
    values = np.random.default_rng(seed).exponential(1, 6)
    expected = complete_bca(values, 0.9)
    found = bca_interval(values, 0.9, num_resamples=50_000)
    assert found == pytest.approx(expected, abs=0.02 * np.ptp(values))


def test_bca_interval_leans_to_the_long_tail():
    values = [0.0, 0.1, 0.2, 0.3, 0.4, 5.0]
    bca, percentile = bca_interval(values), percentile_interval(values)
    assert bca.low > percentile.low + 0.03
    assert bca.high > percentile.high + 0.5


@pytest.mark.parametrize(
    ("interval", "method"), [(bca_interval, "BCa"), (percentile_interval, "percentile")]
)
@pytest.mark.parametrize("seed", range(3))
def test_bootstrap_intervals_agree_with_scipy_and_pingouin(interval, method, seed):
    values = np.random.default_rng(seed).exponential(1, 12)
    found = interval(values, num_resamples=50_000)
    by_scipy = stats.bootstrap((values,), np.mean, n_resamples=50_000, method=method, rng=seed)
    by_pingouin = pingouin.compute_bootci(
        values,
        func="mean",
        method={"BCa": "bca", "percentile": "per"}[method],
        n_boot=50_000,
        seed=seed,
        decimals=10,
    )
    error = 0.15 * values.std() / math.sqrt(12)  # of a quantile far out, in standard errors
    assert found == pytest.approx(tuple(by_scipy.confidence_interval), abs=error)
    assert found == pytest.approx(tuple(by_pingouin), abs=error)


@pytest.mark.parametrize("interval", OF_A_SAMPLE)
def test_negation_mirrors_and_order_changes_nothing(interval):
    rng = np.random.default_rng(5)
    for num_replicates in (2, 3, 5, 10):
        values = rng.normal(0.2, 1, num_replicates)
        low, high = interval(values)
        assert interval(-values) == (-high, -low)
        for _ in range(3):
            assert interval(rng.permutation(values)) == pytest.approx((low, high), rel=1e-12)


@pytest.mark.parametrize("interval", BOOTSTRAP)
@pytest.mark.parametrize("num_replicates", [3, 5, 10])
def test_rounding_does_not_decide_between_resamples(interval, num_replicates):
    values = np.random.default_rng(6).standard_normal(num_replicates)
    low, high = interval(values)
    for factor in (7.3, 1 / 3, 3.3e-9):
        assert interval(factor * values) == pytest.approx((factor * low, factor * high), rel=1e-12)


@pytest.mark.parametrize("interval", BOOTSTRAP)
def test_bootstrap_intervals_stay_inside_the_sample(interval):
    for values in np.random.default_rng(7).standard_normal((20, 3)):
        low, high = interval(values)
        rounding = 1e-15
        assert values.min() - rounding <= low < high <= values.max() + rounding


@pytest.mark.parametrize("interval", BOOTSTRAP)
def test_a_generator_moves_on_and_a_seed_does_not(interval):
    values = np.random.default_rng(8).standard_normal(10)
    rng = np.random.default_rng(9)
    assert interval(values, num_resamples=200, rng=1) == interval(values, num_resamples=200, rng=1)
    assert interval(values, num_resamples=200, rng=rng) != interval(
        values, num_resamples=200, rng=rng
    )


@pytest.mark.parametrize("interval", [*OF_A_SAMPLE, satterthwaite_interval])
def test_more_confidence_is_wider(interval):
    values = np.random.default_rng(10).standard_normal((5, 8))
    values = values if interval is satterthwaite_interval else values[:, 0]
    narrow, wide = interval(values, 0.8), interval(values, 0.95)
    assert wide.low < narrow.low < values.mean() < narrow.high < wide.high


# Seed, trajectory, rest.
SPLITS = [(1, 1, 1), (0.2, 0.6, 0.2), (0.5, 0.3, 0.2)]


@pytest.mark.parametrize("split", [*SPLITS, (1, 0, 0), (0, 1, 0), (0, 0, 1), (0.1, 0.1, 0.8)])
def test_satterthwaite_interval_covers_new_seeds_and_trajectories(split):
    draws = crossed(np.random.default_rng(11), split, (3000, 3, 32))
    assert coverage(map(satterthwaite_interval, draws)) > 0.927 - monte_carlo_error(0.927, 3000)


def test_satterthwaite_interval_is_students_where_only_seeds_vary():
    draws = crossed(np.random.default_rng(12), (1, 0, 0), (1, 4, 9))[0]
    assert satterthwaite_interval(draws) == pytest.approx(t_interval(draws.mean(axis=1)))


def test_satterthwaite_interval_is_students_where_only_trajectories_vary():
    draws = crossed(np.random.default_rng(12), (0, 1, 0), (1, 4, 9))[0]
    assert satterthwaite_interval(draws) == pytest.approx(t_interval(draws.mean(axis=0)))


def test_satterthwaite_interval_by_hand():
    d = np.array([[1.0, 2.0, 3.0], [3.0, 6.0, 6.0]])
    ms_r = 3 * (1.5**2 + 1.5**2) / 1  # row means 2 and 5 around 3.5
    ms_t = 2 * (1.5**2 + 0.5**2 + 1.0**2) / 2  # column means 2, 4 and 4.5 around 3.5
    # What is left: 1 - 2 - 2 + 3.5 = 0.5, 2 - 2 - 4 + 3.5 = -0.5, 0; the other row its opposite.
    ms_e = 4 * 0.5**2 / 2
    total = ms_r + ms_t - ms_e
    df = total**2 / (ms_r**2 / 1 + ms_t**2 / 2 + ms_e**2 / 2)
    half = stats.t.ppf(0.975, df) * math.sqrt(total / 6)
    assert satterthwaite_interval(d) == pytest.approx((3.5 - half, 3.5 + half))


@pytest.mark.parametrize("split", [(0.3, 0.6, 0.1), (0.2, 0.1, 0.7)])
def test_satterthwaite_interval_estimates_the_variance_of_the_mean(split):
    """var(mean) = var(a)/R + var(b)/T + var(e)/(RT); with many of both, t is nearly normal."""
    R, T = 60, 60
    truth = split[0] / R + split[1] / T + split[2] / (R * T)
    intervals = map(satterthwaite_interval, crossed(np.random.default_rng(13), split, (500, R, T)))
    half_widths = np.array([(high - low) / 2 for low, high in intervals])
    assert (half_widths**2).mean() / stats.norm.ppf(0.975) ** 2 == pytest.approx(truth, rel=0.05)


@pytest.mark.parametrize("split", [(1, 1, 1), (0.5, 0.3, 0.2), (0.07, 0.07, 0.86)])
def test_pooling_seeds_and_trajectories_covers_far_too_little(split):
    draws = crossed(np.random.default_rng(14), split, (2000, 3, 32))
    found = coverage(t_interval(d.ravel()) for d in draws)
    error = monte_carlo_error(0.5, 2000)
    assert 0.33 - error < found < 0.73 + error


@pytest.mark.parametrize("split", SPLITS)
def test_nested_bootstrap_covers_too_little(split):
    """Resample 3 seeds, and in each its own 32 trajectories."""
    rng = np.random.default_rng(15)
    S, R, T, B = 1500, 3, 32, 300
    draws = crossed(rng, split, (S, R, T))
    means = np.zeros((S, B))
    for seed in rng.integers(0, R, (R, B)):
        trajectories = rng.multinomial(T, np.full(T, 1 / T), B) / T
        means += np.einsum("sbt,bt->sb", draws[:, seed], trajectories, optimize=True) / R
    found = coverage(np.quantile(means, [0.025, 0.975], axis=1).T)
    error = monte_carlo_error(0.765, S)
    assert 0.75 - error < found < 0.78 + error


@pytest.mark.parametrize("interval", [*OF_A_SAMPLE, satterthwaite_interval])
def test_negated_studies_are_mirrored(interval):
    values = np.random.default_rng(16).normal(0.4, 1, (5, 6))
    values = values if interval is satterthwaite_interval else values[:, 0]
    low, high = interval(values)
    assert interval(-values) == (-high, -low)
    assert interval(values[::-1]) == pytest.approx((low, high))


@pytest.mark.parametrize("interval", [*OF_A_SAMPLE, satterthwaite_interval])
def test_all_zero_is_an_interval_of_no_width(interval):
    shape = (3, 4) if interval is satterthwaite_interval else 3
    assert interval(np.zeros(shape)) == Interval(0, 0)


@pytest.mark.parametrize("interval", [*OF_A_SAMPLE, satterthwaite_interval])
def test_equal_values_have_no_interval(interval):
    shape = (3, 4) if interval is satterthwaite_interval else 3
    with pytest.raises(ValueError, match=r"differ from zero by 0.1 without any spread"):
        interval(np.full(shape, 0.1))


def test_replicates_that_agree_where_trajectories_add_nothing():
    d = np.array([[1.0, -1.0], [-1.0, 1.0]])
    assert satterthwaite_interval(d) == Interval(0, 0)


@pytest.mark.parametrize("interval", OF_A_SAMPLE)
@pytest.mark.parametrize("confidence", [0, 1, -0.5, 95, math.nan])
def test_unusable_confidence_is_refused(interval, confidence):
    with pytest.raises(ValueError, match=f"'confidence' is {confidence}, expected more than 0"):
        interval([1.0, 2.0, 4.0], confidence)


@pytest.mark.parametrize("interval", OF_A_SAMPLE)
@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan], [[1.0, 2.0], [3.0, 4.0]], 1.0])
def test_unusable_values_are_refused(interval, values):
    with pytest.raises(ValueError, match="'values' h"):
        interval(values)


@pytest.mark.parametrize("interval", OF_A_SAMPLE)
@pytest.mark.parametrize("values", [[1e308, 1.5e308, -1e308], [1e-200, 2e-200, 4e-200]])
def test_values_whose_squares_are_no_numbers_are_refused(interval, values):
    largest = f"{max(values):g}".replace("+", r"\+")
    with pytest.raises(ValueError, match=f"magnitude in 'values' is {largest}, expected 0 or from"):
        interval(values)


@pytest.mark.parametrize("interval", [*OF_A_SAMPLE, satterthwaite_interval])
@pytest.mark.parametrize("size", [2.0**-199, 2.0**198])
def test_the_ends_of_what_is_accepted_have_their_intervals(interval, size):
    """Powers of two change no bit; values that differ in their last digits alone are the worst."""
    for values in ([1.0, 1.2, 1.5], [1.0, 1.0 + 1e-14, 1.0 - 2e-14]):
        v = np.array(values)
        v = np.stack([v, v[::-1] + v / 8, v * v]) if interval is satterthwaite_interval else v
        low, high = interval(v)
        assert math.isfinite(low)
        assert low < high
        assert interval(size * v) == (size * low, size * high)


@pytest.mark.parametrize("interval", BOOTSTRAP)
def test_too_few_resamples_are_refused(interval):
    message = "'num_resamples' is 99, expected a whole number of at least 100"
    with pytest.raises(ValueError, match=message):
        interval([1.0, 2.0, 4.0], num_resamples=99)


@pytest.mark.parametrize(
    "values", [[1.0, 2.0], [[1.0, 2.0]], [[1.0], [2.0]], [[1.0, math.nan]] * 2]
)
def test_unusable_matrices_are_refused(values):
    with pytest.raises(ValueError, match="'differences' h"):
        satterthwaite_interval(values)
