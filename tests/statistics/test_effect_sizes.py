"""Effect sizes against a worked example, other libraries, and the populations they estimate."""

import math

import numpy as np
import pingouin
import pytest
from scipy import stats

from chimera.statistics import cohens_d, cohens_dz, hedges_g, hedges_gz, probability_of_superiority

X, Y = [0.30, 0.25, 0.35], [0.20, 0.22, 0.19]
CONTRASTS = [cohens_d, cohens_dz, hedges_g, hedges_gz]


@pytest.mark.parametrize(
    ("effect", "expected"),
    list(zip(CONTRASTS, (2.614842, 1.485715, 2.086342, 0.838225), strict=True)),
)
def test_worked_example(effect, expected):
    assert effect(X, Y) == pytest.approx(expected, abs=5e-7)
    assert isinstance(effect(X, Y), float)


def test_hand_calculation():
    # x - y = 0, 2, 4: mean 2, sd 2. var x = var y = 4 (sums of squares 8 over 2 each): s = 2.
    x, y = [3.0, 5.0, 7.0], [3.0, 3.0, 3.0]
    assert cohens_dz(x, y) == pytest.approx(1.0)
    assert cohens_d(x, y) == pytest.approx(2 / math.sqrt((8 + 0) / 4))
    # m = 2: Gamma(1) / (sqrt(1) Gamma(1/2)); m = 4: Gamma(2) / (sqrt(2) Gamma(3/2)).
    assert hedges_gz(x, y) / cohens_dz(x, y) == pytest.approx(1 / math.sqrt(math.pi))
    assert hedges_g(x, y) / cohens_d(x, y) == pytest.approx(math.sqrt(2 / math.pi))


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_pingouin_and_scipy(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0.5, 2, 12), rng.normal(0, 1, 7)
    assert cohens_d(x, y) == pytest.approx(pingouin.compute_effsize(x, y, eftype="cohen"))
    # pingouin corrects by 1 - 3 / (4 m - 1), which is within 0.1% of the exact c(17).
    assert hedges_g(x, y) == pytest.approx(
        pingouin.compute_effsize(x, y, eftype="hedges"), rel=1e-3
    )
    assert probability_of_superiority(x, y) == pytest.approx(
        pingouin.compute_effsize(x, y, eftype="CLES")
    )
    assert probability_of_superiority(x, y) == pytest.approx(
        stats.mannwhitneyu(x, y).statistic / (12 * 7)
    )
    t = stats.ttest_rel(x[:7], y).statistic
    assert cohens_dz(x[:7], y) == pytest.approx(t / math.sqrt(7))


@pytest.mark.parametrize(("num_pairs", "delta"), [(3, 0.8), (5, 1.5)])
def test_hedges_correction_is_unbiased(num_pairs, delta):
    """E[g_z] is the population's d_z, which d_z itself overstates."""
    rng = np.random.default_rng(0)
    draws = rng.normal(delta, 1, (6000, num_pairs))
    zero = np.zeros(num_pairs)
    g = np.array([hedges_gz(d, zero) for d in draws])
    d = np.array([cohens_dz(d, zero) for d in draws])
    standard_error = g.std() / math.sqrt(len(g))
    assert abs(g.mean() - delta) < 3.5 * standard_error
    assert d.mean() - delta > 5 * standard_error


def test_hedges_g_is_unbiased():
    rng = np.random.default_rng(1)
    g = [hedges_g(rng.normal(0.7, 1, 3), rng.normal(0, 1, 4)) for _ in range(6000)]
    assert abs(np.mean(g) - 0.7) < 3.5 * np.std(g) / math.sqrt(len(g))


@pytest.mark.parametrize("effect", CONTRASTS)
def test_swapping_flips_the_sign_and_order_changes_nothing(effect):
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((2, 6))
    shuffled = rng.permutation(6)
    assert effect(y, x) == -effect(x, y)
    assert effect(x[shuffled], y[shuffled]) == pytest.approx(effect(x, y), rel=1e-13)
    assert effect(3 * x + 1, 3 * y + 1) == pytest.approx(effect(x, y))


def test_probability_of_superiority_counts_ties_half():
    assert probability_of_superiority([1, 2], [1, 1]) == (1 + 1 + 0.5 + 0.5) / 4
    assert probability_of_superiority([2, 3], [0, 1]) == 1
    assert probability_of_superiority([5, 5], [5, 5]) == 0.5
    x, y = np.random.default_rng(3).standard_normal((2, 9))
    assert probability_of_superiority(x, y) + probability_of_superiority(y, x) == pytest.approx(1)


@pytest.mark.parametrize("size", [1e-59, 1e59])
def test_no_effect_has_a_unit(size):
    """Means 1.5 and 4, sums of squares 1/2 and 2 with m = 2: d = -2.5 / sqrt(5 / 4)."""
    assert cohens_d([size, 2 * size], [3 * size, 5 * size]) == pytest.approx(-math.sqrt(5))


@pytest.mark.parametrize("effect", CONTRASTS)
def test_no_difference_at_all_is_no_effect(effect):
    assert effect([2.0, 2.0, 2.0], [2.0, 2.0, 2.0]) == 0


def test_equal_pairs_are_no_effect():
    assert cohens_dz([0.1, 0.2, 0.4], [0.1, 0.2, 0.4]) == 0


@pytest.mark.parametrize("effect", CONTRASTS)
def test_a_difference_without_spread_is_refused(effect):
    with pytest.raises(ValueError, match="without any spread"):
        effect([0.3, 0.3, 0.3], [0.2, 0.2, 0.2])


def test_equality_is_up_to_rounding():
    # In binary these three differences are 0.1 with three different last digits.
    x = np.array([0.3, 0.4, 0.8])
    y = x - 0.1
    assert len(set(x - y)) > 1
    with pytest.raises(ValueError, match=r"differ from zero by 0.1 without any spread"):
        cohens_dz(x, y)


def test_two_pairs_have_no_unbiased_estimate_but_zero():
    assert hedges_gz([1.0, 3.0], [0.0, 0.5]) == 0


def test_many_pairs_stay_finite():
    x = np.random.default_rng(4).normal(1, 1, 100_000)
    assert hedges_gz(x, np.zeros(100_000)) == pytest.approx(cohens_dz(x, np.zeros(100_000)), 1e-4)


@pytest.mark.parametrize("effect", [*CONTRASTS, probability_of_superiority])
@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([1.0], r"'x' has shape \(1,\), expected a vector of at least 2 values"),
        ([[1.0, 2.0]], r"'x' has shape \(1, 2\)"),
        ([1.0, math.nan, 2.0], "'x' holds nan at index 1, expected finite numbers"),
        ([1.0, 2.0, -math.inf], "'x' holds -inf at index 2, expected finite numbers"),
        (["a", "b"], "expected an array of real numbers"),
        (["1", "2"], "expected an array of real numbers"),
        ([[1.0], [2.0, 3.0]], "expected an array of real numbers"),
        ([1.0 + 2.0j, 2.0], "expected an array of real numbers"),
        ([1.0, None], "expected an array of real numbers"),
        (np.array(["2026-01-01", "2026-01-02"], "M8[D]"), "expected an array of real numbers"),
        (np.array([1, 2], "m8[s]"), "expected an array of real numbers"),
        (np.ma.masked_equal([1, 2, 3], 2), "expected an array of real numbers"),
        (np.ma.masked_equal([1.0, 2.0, 3.0], 2.0), "'x' holds nan at index 1, expected finite"),
        (
            [1e200, 2e200],
            "the largest magnitude in 'x' is 2e\\+200, expected 0 or from 1e-60 to 1e",
        ),
        ([1e-200, 0.0], "the largest magnitude in 'x' is 1e-200, expected 0 or from 1e-60 to 1e"),
    ],
)
def test_unusable_values_are_refused(effect, x, message):
    with pytest.raises(ValueError, match=message):
        effect(x, [1.0, 2.0, 4.0])


@pytest.mark.parametrize("effect", [cohens_dz, hedges_gz])
def test_pairs_need_equal_numbers(effect):
    with pytest.raises(ValueError, match="'x' holds 2 values and 'y' 3"):
        effect([1.0, 2.0], [1.0, 2.0, 4.0])
