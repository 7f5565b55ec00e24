"""Tests, families, correlation and power against enumeration and other libraries."""

import itertools
import math

import numpy as np
import pingouin
import pytest
from scipy import integrate, special, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from chimera.interface.errors import InputError
from chimera.statistics import (
    benjamini_hochberg,
    detectable_effect,
    holm,
    paired_t_p,
    paired_t_power,
    required_replicates,
    sign_flip_p,
    smallest_spearman_p,
    spearman,
    spearman_interval,
)

DIFFERENCES = [0.10, 0.03, 0.16]


def test_paired_t_of_the_worked_example():
    assert paired_t_p(DIFFERENCES) == pytest.approx(0.123623, abs=5e-7)


@pytest.mark.parametrize("seed", range(3))
def test_paired_t_is_scipys(seed):
    x, y = np.random.default_rng(seed).normal(0.3, 1, (2, 8))
    assert paired_t_p(x - y) == pytest.approx(stats.ttest_rel(x, y).pvalue)
    assert paired_t_p(y - x) == paired_t_p(x - y)


@pytest.mark.parametrize(("num_pairs", "smallest"), [(3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_smallest_sign_flip_p(num_pairs, smallest):
    differences = np.arange(1, num_pairs + 1) / 7
    assert sign_flip_p(differences) == smallest == 2.0 ** (1 - num_pairs)
    assert sign_flip_p(-differences) == smallest
    assert isinstance(sign_flip_p(differences), float)


@pytest.mark.parametrize("num_pairs", [2, 3, 6, 11])
def test_sign_flip_agrees_with_scipy(num_pairs):
    d = np.random.default_rng(num_pairs).normal(0.4, 1, num_pairs)
    expected = stats.permutation_test(
        (d,), lambda v: abs(v.mean()), permutation_type="samples", alternative="greater"
    ).pvalue
    assert sign_flip_p(d) == pytest.approx(expected, rel=1e-12)
    assert sign_flip_p(d[::-1]) == sign_flip_p(d)


def test_sign_flip_of_many_pairs_is_what_random_signs_give():
    d = np.random.default_rng(3).normal(0.25, 1, 40)
    signs = np.random.default_rng(4).choice([-1, 1], (100_000, 40))
    expected = (np.abs(signs @ d) >= abs(d.sum())).mean()
    assert sign_flip_p(d) == pytest.approx(expected, abs=4 * math.sqrt(0.25 / 100_000))
    assert sign_flip_p(-d) == sign_flip_p(d)
    assert sign_flip_p(np.ones(40)) == 2.0**-39


def test_sign_flip_counts_zeros_and_ties():
    # |sum| is 3 in 2 of 8 assignments of (1, 1, 1), and a zero doubles both counts.
    assert sign_flip_p([1, 1, 1]) == 0.25
    assert sign_flip_p([1, 1, 1, 0]) == 0.25
    assert sign_flip_p([1, -1]) == 1
    # 0.1 + 0.2 and 0.3 tie, though not in binary: sums 0 (2 of 8) and 0.6, 0.4, 0.2.
    assert sign_flip_p([0.1, 0.2, -0.3]) == 1
    assert sign_flip_p([0.1, 0.2, 0.3]) == 0.25


def test_sign_flip_is_a_valid_test():
    """P(p <= alpha) <= alpha when signs are fair, whatever the sizes; equal where 2^n allows."""
    rng = np.random.default_rng(0)
    p = np.array([sign_flip_p(d) for d in rng.standard_cauchy((4000, 6))])
    for alpha in (0.03125, 0.0625, 0.25, 0.5):
        error = 3.5 * math.sqrt(alpha * (1 - alpha) / 4000)
        assert (p <= alpha).mean() == pytest.approx(alpha, abs=error)


@pytest.mark.parametrize("test", [paired_t_p, sign_flip_p])
def test_no_difference_at_all_has_p_one(test):
    assert test([0.0, 0.0, 0.0]) == 1


def test_equal_differences():
    assert sign_flip_p([0.1, 0.1, 0.1]) == 0.25
    with pytest.raises(ValueError, match=r"differ from zero by 0.1 without any spread"):
        paired_t_p([0.1, 0.1, 0.1])


@pytest.mark.parametrize("test", [paired_t_p, sign_flip_p])
@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan], [math.inf, 1.0], [[1.0, 2.0]]])
def test_unusable_differences_are_refused(test, values):
    with pytest.raises(ValueError, match="'differences' h"):
        test(values)


def test_too_many_signs_are_refused():
    with pytest.raises(ValueError, match="holds 41 values, expected at most 40"):
        sign_flip_p(np.ones(41))


@pytest.mark.parametrize("seed", range(4))
def test_benjamini_hochberg_agrees_with_statsmodels_and_scipy(seed):
    p = np.random.default_rng(seed).random(15) ** 2
    q = benjamini_hochberg(p)
    np.testing.assert_allclose(q, multipletests(p, method="fdr_bh")[1])
    np.testing.assert_allclose(q, stats.false_discovery_control(p))
    np.testing.assert_allclose(benjamini_hochberg(p[::-1]), q[::-1])


@pytest.mark.parametrize("test", [paired_t_p, sign_flip_p])
def test_tiny_differences_have_their_p_or_are_refused(test):
    """A p knows no unit, so that a wrong one cannot follow from underflow."""
    plain = test([1.0, 2.0, 3.0])
    assert test([1e-59, 2e-59, 3e-59]) == pytest.approx(plain)
    for size in (1e-200, 1e200):
        with pytest.raises(ValueError, match="the largest magnitude in 'differences' is 3e"):
            test([size, 2 * size, 3 * size])


def test_tiny_p_are_adjusted_and_numbers_of_any_size_ranked():
    np.testing.assert_array_equal(holm([1e-200, 3e-300]), [1e-200, 6e-300])
    assert benjamini_hochberg([1e-90])[0] == 1e-90
    plain = spearman([1, 2, 3, 4, 5], [3, 1, 2, 5, 4])
    assert spearman([1e-300, 2e-300, 1e-9, 1.0, 1e300], [3, 1, 2, 5, 4]) == plain


def test_benjamini_hochberg_by_hand():
    # Sorted .01, .02, .03, .5: times 4/1, 4/2, 4/3, 4/4 = .04, .04, .04, .5.
    np.testing.assert_allclose(benjamini_hochberg([0.02, 0.5, 0.01, 0.03]), [0.04, 0.5, 0.04, 0.04])
    np.testing.assert_allclose(benjamini_hochberg([0.3]), [0.3])
    np.testing.assert_allclose(benjamini_hochberg([0.9, 1.0]), [1.0, 1.0])


@pytest.mark.parametrize(
    ("p", "message"),
    [
        ([0.1, math.nan], "'p' holds nan at index 1"),
        ([0.1, 1.5], "'p' holds values from 0.1 to 1.5, expected 0 to 1"),
        ([-0.1, 0.5], "'p' holds values from -0.1"),
        ([], "'p' has shape"),
        ([[0.1]], "'p' has shape"),
    ],
)
@pytest.mark.parametrize("adjust", [benjamini_hochberg, holm])
def test_unusable_p_are_refused(adjust, p, message):
    with pytest.raises(ValueError, match=message):
        adjust(p)


def enumerated_p(x, y) -> float:
    """The share of all permutations whose |rho| is as large, rho from scipy."""
    rhos = [stats.spearmanr(x, permuted).statistic for permuted in itertools.permutations(y)]
    return float((np.abs(rhos) >= abs(stats.spearmanr(x, y).statistic) - 1e-12).mean())


@pytest.mark.parametrize("num_pairs", [3, 4, 5])
@pytest.mark.parametrize("ties", [False, True])
def test_spearman_is_exact_for_few_pairs(num_pairs, ties):
    x, y = np.random.default_rng(num_pairs).standard_normal((2, num_pairs))
    if ties:
        x[1] = x[0]
        y[0] = y[-1]
    found = spearman(x, y)
    assert found.rho == pytest.approx(stats.spearmanr(x, y).statistic)
    assert found.p == pytest.approx(enumerated_p(x, y), rel=1e-12)


def test_perfect_order_of_three_is_no_discovery():
    assert spearman([1, 2, 3], [10, 20, 30]) == (1.0, pytest.approx(2 / math.factorial(3)))
    assert spearman([1, 2, 3], [3, 2, 1]) == (-1.0, pytest.approx(2 / math.factorial(3)))
    assert spearman([1, 2], [5, 9]) == (1.0, 1.0)
    assert spearman(range(8), np.exp(range(8))).p == pytest.approx(2 / math.factorial(8))


@pytest.mark.parametrize("seed", range(3))
def test_spearman_within_groups_visits_their_permutations_alone(seed):
    rng = np.random.default_rng(seed)
    x, y, groups = rng.standard_normal(7), rng.integers(3, size=7), [0, 1, 0, 1, 1, 0, 1]
    members = [[i for i in range(7) if groups[i] == g] for g in (0, 1)]

    def within(values):
        ranks = np.empty(7)
        for at in members:
            ranks[at] = stats.rankdata(np.asarray(values)[at]) - (len(at) + 1) / 2
        return ranks

    a, b = within(x), within(y)
    sums = []
    for first in itertools.permutations(members[0]):
        for second in itertools.permutations(members[1]):
            order = np.empty(7, dtype=int)
            order[members[0]], order[members[1]] = first, second
            sums.append(a @ b[order])
    found = spearman(x, y, groups=groups)
    assert found.rho == pytest.approx(a @ b / math.sqrt((a @ a) * (b @ b)))
    assert found.p == pytest.approx(np.mean(np.abs(sums) >= abs(a @ b) - 1e-9))
    largest = np.abs(sums).max()
    smallest = np.mean(np.abs(sums) >= largest - 1e-9)
    assert smallest_spearman_p(x, y, groups=groups) == pytest.approx(smallest)
    drawn = spearman(x, y, groups=groups, num_resamples=100, rng=1).p  # 4! are fewer than 100
    assert drawn == found.p
    # Fisher's interval with n - 1 in the place of n: one group more has one mean more.
    low, high = spearman_interval(x, y, 0.95, groups=groups)
    half = stats.norm.isf(0.025) * math.sqrt((1 + found.rho**2 / 2) / (7 - 1 - 3))
    assert low == pytest.approx(math.tanh(math.atanh(found.rho) - half))
    assert high == pytest.approx(math.tanh(math.atanh(found.rho) + half))


@pytest.mark.parametrize(
    "groups",
    [
        [1, 1, 1, "1", "1", "1"],
        [("unet", 0)] * 3 + [("fno", 0)] * 3,
        np.array([False] * 3 + [True] * 3),
        [None] * 3 + [2.5] * 3,
    ],
)
def test_groups_have_any_labels(groups):
    """In each group y falls with x: rho is -1 in both, and of 3!^2 orders two are as extreme."""
    x, y = [1.0, 2, 3, 11, 12, 13], [3.0, 2, 1, 13, 12, 11]
    assert spearman(x, y, groups=groups) == (pytest.approx(-1.0), pytest.approx(2 / 36))


@pytest.mark.parametrize("correlate", [spearman, spearman_interval, smallest_spearman_p])
@pytest.mark.parametrize("labels", [2, 4])
def test_each_pair_has_one_label(correlate, labels):
    message = f"'groups' holds {labels} labels, expected one for each of 3 pairs"
    with pytest.raises(InputError, match=message):
        correlate([1.0, 2.0, 3.0], [3.0, 1.0, 2.0], groups=["a"] * labels)


@pytest.mark.parametrize("seed", range(3))
def test_spearman_agrees_with_scipy_and_pingouin_for_many_pairs(seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(40)
    y = 0.3 * x + rng.standard_normal(40)
    found = spearman(x, y)
    assert found.rho == pytest.approx(stats.spearmanr(x, y).statistic)
    assert found.rho == pytest.approx(pingouin.corr(x, y, method="spearman")["r"].iloc[0])
    # scipy's t approximation of p is good at n = 40.
    assert found.p == pytest.approx(stats.spearmanr(x, y).pvalue, abs=0.01)


def test_monte_carlo_p_agrees_with_the_exact_one_and_is_never_zero():
    x, y = np.random.default_rng(5).standard_normal((2, 7))
    exact = spearman(x, y).p
    drawn = spearman(x, y, num_resamples=5000, rng=1).p
    assert drawn != exact
    assert drawn == pytest.approx(exact, abs=3.5 * math.sqrt(exact * (1 - exact) / 5000))
    assert spearman(range(30), range(30), num_resamples=999).p == 1 / 1000


@pytest.mark.parametrize("num_pairs", [5, 10])
def test_spearman_knows_neither_order_nor_common_sign_nor_scale(num_pairs):
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((2, num_pairs))
    found = spearman(x, y)
    shuffled = rng.permutation(num_pairs)
    assert spearman(x[shuffled], y[shuffled]) == found
    assert spearman(-x, -y) == found
    assert spearman(-x, y) == (-found.rho, found.p)
    assert spearman(np.exp(x), y**3) == found


def test_spearman_interval_of_a_published_example():
    # The example of ci.spear in the R package statpsych, by D. G. Bonett.
    y = [21, 4, 9, 12, 35, 18, 10, 22, 24, 1, 6, 8, 13, 16, 19]
    x = [67, 28, 30, 28, 52, 40, 25, 37, 44, 10, 14, 20, 28, 40, 51]
    assert spearman(x, y, num_resamples=100).rho == pytest.approx(0.8699639, abs=5e-8)
    assert spearman_interval(x, y) == pytest.approx((0.5840951, 0.9638297), abs=5e-8)


def test_spearman_interval_at_its_limits():
    assert spearman_interval([1, 2, 3], [1, 2, 3]) == (-1, 1)
    low, high = spearman_interval([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
    nearly = 1 - 6 / (5 * 24)
    half = stats.norm.ppf(0.975) * math.sqrt((1 + nearly**2 / 2) / 2)
    assert high == 1
    assert low == pytest.approx(math.tanh(math.atanh(nearly) - half))
    assert spearman_interval([1, 2, 3, 4, 5], [5, 4, 3, 2, 1]) == (-1, pytest.approx(-low))
    # In two groups of four, the rho next to 1 is the largest of 4!^2 that are below.
    x, groups = np.arange(8.0), [0] * 4 + [1] * 4
    orders = [np.array(order) for order in itertools.permutations(range(4))]
    sums = [(a - 1.5) @ np.arange(4) + (b - 1.5) @ np.arange(4) for a in orders for b in orders]
    nearly = (1 + max(s for s in sums if s < 10) / 10) / 2
    half = stats.norm.ppf(0.975) * math.sqrt((1 + nearly**2 / 2) / (8 - 1 - 3))
    low, high = spearman_interval(x, x, groups=groups)
    assert (low, high) == (pytest.approx(math.tanh(math.atanh(nearly) - half)), 1)
    # One step below a perfect order is inside (-1, 1) and lies lower.
    below = spearman_interval([1, 2, 3, 4, 5], [1, 2, 3, 5, 4])
    assert below.low < spearman_interval([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]).low
    assert below.high < 1


@pytest.mark.parametrize("correlate", [spearman, spearman_interval])
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1, 1, 1], [1, 2, 3], "'x' is 1 throughout, expected values to rank"),
        ([True, True, True], [1, 2, 3], "'x' is 1 throughout"),
        ([1, 2, 3], [4, 4, 4], "'y' is 4 throughout"),
        ([1, 2], [1, 2, 3], "'x' holds 2 values and 'y' 3"),
        ([1], [1], "'x' has shape"),
        ([1, math.nan, 2], [1, 2, 3], "'x' holds nan at index 1"),
    ],
)
def test_uncorrelatable_values_are_refused(correlate, x, y, message):
    with pytest.raises(ValueError, match=message):
        correlate(x, y)


@pytest.mark.parametrize("effect", [0.2, 0.5, 0.8, 1.0, 1.5])
@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_power_agrees_with_statsmodels_and_pingouin(effect, alpha):
    for n in (3, 5, 10):
        found = paired_t_power(effect, n, alpha=alpha)
        assert found == pytest.approx(TTestPower().power(effect, n, alpha), abs=1e-6)
        assert found == pytest.approx(
            pingouin.power_ttest(d=effect, n=n, alpha=alpha, contrast="paired"), abs=1e-6
        )
        assert paired_t_power(-effect, n, alpha=alpha) == found
    n = required_replicates(effect, alpha=alpha)
    exact = TTestPower().solve_power(effect, alpha=alpha, power=0.8)
    assert n == max(2, math.ceil(exact))


@pytest.mark.parametrize(("n", "shift"), [(2, 3.0), (3, 30.0), (5, 8.0), (10, 50.0)])
def test_power_is_an_average_over_the_spread(n, shift):
    """P(|Z + shift| > c s), Z normal and (n - 1) s^2 chi-squared, also where scipy's cdf is NaN."""
    critical = stats.t.ppf(0.975, n - 1)

    def rejected(u: float) -> float:
        cut = critical * math.sqrt(stats.chi2.ppf(u, n - 1) / (n - 1))
        return float(special.ndtr(shift - cut) + special.ndtr(-shift - cut))

    expected, _ = integrate.quad(rejected, 0, 1)
    assert paired_t_power(shift / math.sqrt(n), n) == pytest.approx(expected, abs=1e-6)


def test_power_is_what_the_paired_t_test_has():
    draws = np.random.default_rng(7).normal(1.0, 1.0, (4000, 5))
    rejected = np.mean([paired_t_p(d) < 0.05 for d in draws])
    expected = paired_t_power(1.0, 5)
    assert rejected == pytest.approx(expected, abs=3.5 * math.sqrt(expected / 4 / 4000) + 1e-3)


def test_no_effect_is_found_at_the_level():
    assert paired_t_power(0, 7, alpha=0.03) == pytest.approx(0.03)


def test_extreme_effects():
    assert required_replicates(1e6) == 2
    assert paired_t_power(1e6, 10**6) == pytest.approx(1)
    # For a small effect the normal approximation: n = ((z_.975 + z_.8) / d)^2.
    expected = (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) ** 2 / 1e-3**2
    assert required_replicates(1e-3) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("n", "alpha", "power"), [(2, 0.05, 0.8), (3, 0.05, 0.8), (40, 0.01, 0.95)]
)
def test_a_detectable_effect_is_found_with_the_power(n, alpha, power):
    effect = detectable_effect(n, alpha=alpha, power=power)
    assert paired_t_power(effect, n, alpha=alpha) == pytest.approx(power, abs=1e-9)
    assert detectable_effect(n + 1, alpha=alpha, power=power) < effect
    assert required_replicates(effect, alpha=alpha, power=power - 1e-6) == n


def test_a_power_below_the_level_and_effects_beyond_any_study():
    with pytest.raises(ValueError, match=r"'power' is 0.05, expected more than alpha"):
        detectable_effect(5, alpha=0.05, power=0.05)
    assert detectable_effect(2, alpha=1e-6) == 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"effect": 0}, "'effect' is 0, expected a d_z of at least 0.001"),
        ({"effect": math.nan}, "'effect' is nan, expected a finite d_z"),
        ({"effect": 1, "power": 1}, "'power' is 1, expected more than 0 and less than 1"),
        ({"effect": 1, "alpha": 0}, "'alpha' is 0, expected more than 0"),
    ],
)
def test_unanswerable_questions_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        required_replicates(**arguments)


def test_power_needs_two_pairs():
    for few in (1, 2.5, math.nan, math.inf):
        message = f"'num_replicates' is {few}, expected a whole number of at least 2"
        with pytest.raises(ValueError, match=message):
            paired_t_power(1.0, few)


@pytest.mark.parametrize(
    ("x", "y", "smallest"), [([1.0, 1.0, 1.0], [1.0, 2.0, 3.0], 1.0), ([1.0, 2.0], [2.0, 1.0], 1.0)]
)
def test_the_least_p_of_what_has_no_order_is_one(x, y, smallest):
    assert smallest_spearman_p(x, y) == smallest


def test_the_least_p_refuses_what_is_no_sample():
    with pytest.raises(InputError):
        smallest_spearman_p([1.0, math.nan], [1.0, 2.0])
    with pytest.raises(InputError):
        smallest_spearman_p([1.0, 1.0, 1.0], [1.0, 2.0])
