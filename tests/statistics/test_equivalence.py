"""Equivalence tests and Holm's correction against other libraries and by hand."""

import math

import numpy as np
import pingouin
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from chimera.statistics import equivalence_p, holm, t_interval

MARGIN = math.log(1.1)


@pytest.mark.parametrize("n", [2, 3, 8, 40])
@pytest.mark.parametrize("mean", [-0.2, -0.03, 0.0, 0.05, 0.2])
def test_equivalence_is_statsmodels_and_pingouins(n, mean):
    x, y = np.random.default_rng(n).normal(0, 0.06, (2, n))
    x += mean
    p = equivalence_p(x - y, MARGIN)
    assert p == pytest.approx(DescrStatsW(x - y).ttost_mean(-MARGIN, MARGIN)[0], rel=1e-9)
    found = pingouin.tost(x, y, bound=MARGIN, paired=True)
    assert p == pytest.approx(float(found["pval"].iloc[0]), rel=1e-9)
    assert equivalence_p(y - x, MARGIN) == p


def test_equivalence_of_two_pairs_in_closed_form():
    # n = 2: T is Cauchy, mean .02, s / sqrt(2) = .01, so that t = 3 at the margin .05.
    assert equivalence_p([0.01, 0.03], 0.05) == pytest.approx(0.5 - math.atan(3) / math.pi)
    # At the margin itself t is zero; beyond it p is above one half.
    assert equivalence_p([0.04, 0.06], 0.05) == pytest.approx(0.5)
    assert equivalence_p([0.06, 0.08], 0.05) == pytest.approx(0.5 + math.atan(2) / math.pi)


@pytest.mark.parametrize("seed", range(5))
def test_equivalence_at_5_percent_is_the_90_percent_interval_within_the_margin(seed):
    d = np.random.default_rng(seed).normal(0.03, 0.08, 9)
    low, high = t_interval(d, 0.9)
    edge = max(-low, high)  # the smallest margin that holds the interval
    assert equivalence_p(d, edge) == pytest.approx(0.05)
    assert equivalence_p(d, 1.01 * edge) < 0.05 < equivalence_p(d, 0.99 * edge)


def test_equivalence_at_the_margin_is_found_in_5_percent():
    d = np.random.default_rng(0).normal(MARGIN, 0.02, (4000, 6))
    p = np.array([equivalence_p(row, MARGIN) for row in d])
    assert (p <= 0.05).mean() == pytest.approx(0.05, abs=3.5 * math.sqrt(0.05 * 0.95 / 4000))


def test_no_difference_at_all_is_equivalent():
    assert equivalence_p([0.0, 0.0, 0.0], MARGIN) == 0
    with pytest.raises(ValueError, match=r"differ from zero by 0.1 without any spread"):
        equivalence_p([0.1, 0.1, 0.1], MARGIN)


@pytest.mark.parametrize("margin", [0, -0.1, math.nan, math.inf])
def test_unusable_margins_are_refused(margin):
    message = f"^'margin' is {margin}, expected a finite number above 0$"
    with pytest.raises(ValueError, match=message):
        equivalence_p([0.1, 0.2], margin)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan], [[1.0, 2.0]]])
def test_unusable_differences_are_refused(values):
    with pytest.raises(ValueError, match="'differences' h"):
        equivalence_p(values, MARGIN)


@pytest.mark.parametrize("seed", range(4))
def test_holm_agrees_with_statsmodels(seed):
    p = np.random.default_rng(seed).random(12) ** 3
    adjusted = holm(p)
    np.testing.assert_allclose(adjusted, multipletests(p, method="holm")[1])
    np.testing.assert_allclose(holm(p[::-1]), adjusted[::-1])


def test_holm_by_hand():
    # Sorted .01, .02, .03, .5: times 4, 3, 2, 1 = .04, .06, .06, .5.
    np.testing.assert_allclose(holm([0.02, 0.5, 0.01, 0.03]), [0.06, 0.5, 0.04, 0.06])
    np.testing.assert_allclose(holm([0.3]), [0.3])
    np.testing.assert_allclose(holm([0.04, 0.02, 0.02]), [0.06, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.9, 0.6]), [1.0, 1.0])


def test_holm_keeps_the_family_wise_error():
    p = stats.norm.sf(np.random.default_rng(1).standard_normal((4000, 5)))
    rejected = np.array([holm(row).min() <= 0.1 for row in p])
    # Independent and all null: 1 - (1 - .1/5)^5.
    expected = 1 - 0.98**5
    assert rejected.mean() == pytest.approx(expected, abs=3.5 * math.sqrt(0.09 / 4000))
