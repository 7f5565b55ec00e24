"""E-values and confidence sequences against integrals, inversion, and simulated repeated looks."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, optimize, stats

from chimera.statistics import confidence_sequence, e_value
from chimera.statistics.confidence_sequences import half_width

PRIORS = [0.2, 1.0, 5.0]


def running_e_values(d, prior_variance):
    """E-values (S, n) of the first 1, 2, ..., n differences of studies (S, n), from t's density."""
    n = np.arange(2, d.shape[1] + 1)
    means = np.cumsum(d, axis=1)[:, 1:] / n
    squares = np.cumsum(d**2, axis=1)[:, 1:]
    t = means * np.sqrt(n) / np.sqrt((squares - n * means**2) / (n - 1))
    scale = np.sqrt(1 + n * prior_variance)
    e = stats.t.pdf(t / scale, n - 1) / scale / stats.t.pdf(t, n - 1)
    return np.concatenate([np.ones((len(d), 1)), e], axis=1)


@pytest.mark.parametrize("prior_variance", PRIORS)
@pytest.mark.parametrize("d", [[0.1, 0.3], [0.4, -0.1, 0.3, 0.5], [0.2, 0.1, -0.3, 0.1, 0.05, 0.3]])
def test_the_closed_form_is_the_bayes_factor(d, prior_variance):
    """The likelihoods of the data, integrated over delta ~ N(0, g) and dsigma / sigma."""
    d = np.array(d)
    n, scale = len(d), math.sqrt(prior_variance)
    delta = np.linspace(-8 * scale, 8 * scale, 2001)[:, None]
    log_sigma = math.log(d.std()) + np.linspace(-3, 12, 1501)
    sigma = np.exp(log_sigma)
    # sum (d_i - delta sigma)^2 / sigma^2, and sigma^-n; (2 pi)^(-n/2) cancels.
    squares = (d**2).sum() / sigma**2 - 2 * delta * d.sum() / sigma + n * delta**2
    likelihood = integrate.trapezoid(np.exp(-squares / 2 - n * log_sigma), log_sigma, axis=1)
    alternative = integrate.trapezoid(
        likelihood * stats.norm.pdf(delta[:, 0], 0, scale), delta[:, 0]
    )
    null = likelihood[len(delta) // 2]
    assert e_value(d, prior_variance=prior_variance) == pytest.approx(alternative / null, rel=1e-6)


@pytest.mark.parametrize("prior_variance", PRIORS)
@pytest.mark.parametrize("n", [2, 3, 8, 40])
def test_the_closed_form_is_the_mixture_of_noncentral_t(n, prior_variance):
    d = np.random.default_rng(n).normal(0.4, 1, n)
    t = d.mean() / (d.std(ddof=1) / math.sqrt(n))
    scale = math.sqrt(prior_variance)
    mixture = integrate.quad(
        lambda delta: (
            stats.nct.pdf(t, n - 1, math.sqrt(n) * delta) * stats.norm.pdf(delta, 0, scale)
        ),
        -8 * scale,
        8 * scale,
        points=[0.0, t / math.sqrt(n)],
        limit=200,
    )[0]
    expected = mixture / stats.t.pdf(t, n - 1)
    assert e_value(d, prior_variance=prior_variance) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("prior_variance", PRIORS)
@pytest.mark.parametrize("n", [2, 3, 8])
def test_the_next_difference_is_expected_to_change_nothing(n, prior_variance):
    """A martingale: given the ratios so far, d_{n+1} / rms(d_1..n) is Student's t of n df."""
    d = np.random.default_rng(n).normal(0.5, 2, n)
    rms = math.sqrt((d**2).mean())

    def weighted(angle):
        x = math.tan(angle)
        e = e_value([*d, x * rms], prior_variance=prior_variance)
        return e * stats.t.pdf(x, n) * (1 + x**2)

    half = math.pi / 2 - 1e-9
    expected = integrate.quad(weighted, -half, half, limit=400, epsrel=1e-7)[0]
    assert expected == pytest.approx(e_value(d, prior_variance=prior_variance), rel=1e-5)


@pytest.mark.parametrize("prior_variance", PRIORS)
def test_e_values_of_no_effect_average_to_one_and_seldom_reach_twenty(prior_variance):
    studies = 10_000
    d = 3.0 * np.random.default_rng(0).standard_normal((studies, 100))
    e = running_e_values(d, prior_variance)
    for study, n in [(0, 2), (1, 17), (2, 100)]:
        expected = e_value(d[study, :n], prior_variance=prior_variance)
        assert e[study, n - 1] == pytest.approx(expected, rel=1e-9)
    errors = e.std(axis=0) / math.sqrt(studies)
    assert np.all(e.mean(axis=0) <= 1 + 4 * errors)
    # Of bounded variance at small n, so that the mean is also seen to be no less than 1.
    assert np.all(np.abs(e.mean(axis=0) - 1)[:3] <= 4 * errors[:3] + 1e-9)
    # Whoever stops at the largest e rejects in at most 5%.
    assert (e.max(axis=1) >= 20).mean() <= 0.05
    assert (e.max(axis=1) >= 10).mean() <= 0.10


def test_an_effect_is_found_sooner_or_later():
    d = np.random.default_rng(1).normal(1.0, 1.0, (500, 100))
    assert (running_e_values(d, 1.0).max(axis=1) >= 20).all()


@pytest.mark.parametrize("n", [2, 5, 12])
def test_scale_sign_and_order_change_no_e_value(n):
    d = np.random.default_rng(n).normal(0.5, 1, n)
    e = e_value(d)
    assert e_value(-d) == e
    assert e_value(1e-6 * d) == pytest.approx(e, rel=1e-9)
    assert e_value(d[::-1]) == pytest.approx(e, rel=1e-9)
    assert confidence_sequence(-d) == tuple(-end for end in confidence_sequence(d)[::-1])


def test_e_values_at_their_ends():
    # No difference at all has t = 0, which speaks for zero: w^(-1/2).
    assert e_value([0.0] * 3, prior_variance=1.0) == pytest.approx(0.5)
    # The largest is w^((n-1)/2).
    assert e_value([1.0, 1.0, 1.0 + 1e-7], prior_variance=1.0) == pytest.approx(4.0, rel=1e-6)
    assert e_value(1 + 1e-9 * np.arange(2000)) == pytest.approx(np.finfo(float).max, rel=1e-9)


@pytest.mark.parametrize("prior_variance", PRIORS)
@pytest.mark.parametrize("alpha", [0.05, 0.1])
@pytest.mark.parametrize("n", [4, 8, 40])
def test_the_sequence_is_the_inverted_e_value(n, alpha, prior_variance):
    d = np.random.default_rng(n).normal(0.1, 0.3, n)
    low, high = confidence_sequence(d, alpha, prior_variance=prior_variance)

    def beyond(mu):
        return math.log(e_value(d - mu, prior_variance=prior_variance) * alpha)

    far = 1e4 * d.std()
    if beyond(d.mean() + far) < 0:
        assert (low, high) == (-math.inf, math.inf)
    else:
        assert high == pytest.approx(optimize.brentq(beyond, d.mean(), d.mean() + far), rel=1e-8)
        assert low == pytest.approx(optimize.brentq(beyond, d.mean() - far, d.mean()), rel=1e-8)


def test_too_few_pairs_leave_the_whole_line():
    # e_n < (1 + n g)^((n-1)/2) = 2 at n = 3, g = 1/3; 16 at n = 3, g = 5.
    wide = {"prior_variance": 1 / 3}
    assert confidence_sequence([0.1, 0.2, 0.4], 0.5, **wide) == (-math.inf, math.inf)
    assert math.isfinite(confidence_sequence([0.1, 0.2, 0.4], 0.5 + 1e-6, **wide).high)
    assert confidence_sequence([0.1, 0.2, 0.4], 1 / 16).low == -math.inf
    assert math.isfinite(confidence_sequence([0.1, 0.2, 0.4], 1 / 15).low)
    assert confidence_sequence([0.0, 0.0]) == (-math.inf, math.inf)
    assert confidence_sequence([0.0] * 8) == (0.0, 0.0)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
@pytest.mark.parametrize("prior_variance", PRIORS)
def test_the_sequence_holds_at_all_sizes_at_once(alpha, prior_variance):
    d = np.random.default_rng(2).normal(-0.7, 0.4, (10_000, 200))
    n = np.arange(2, 201)
    means = np.cumsum(d, axis=1)[:, 1:] / n
    squares = np.cumsum((d + 0.7) ** 2, axis=1)[:, 1:] - n * (means + 0.7) ** 2
    s = np.sqrt(squares / (n - 1))
    half = half_width(s, n, alpha, prior_variance)
    low, high = confidence_sequence(d[0, :50], alpha, prior_variance=prior_variance)
    assert (low, high) == pytest.approx((means[0, 48] - half[0, 48], means[0, 48] + half[0, 48]))
    missed = (np.abs(means + 0.7) > half).any(axis=1).mean()
    assert missed <= alpha
    # Not because it is wide beyond use: the t interval of fixed n misses three times as often.
    at_once = stats.t.isf(alpha / 2, n - 1) * s / np.sqrt(n)
    assert (np.abs(means + 0.7) > at_once).any(axis=1).mean() > 3 * alpha
    assert missed > alpha / 10


@pytest.mark.parametrize("prior_variance", [0.0, -1.0, math.nan, math.inf])
def test_unusable_priors_are_refused(prior_variance):
    message = f"^'prior_variance' is {prior_variance}, expected a finite number above 0$"
    for function in (e_value, confidence_sequence):
        with pytest.raises(ValueError, match=message):
            function([0.1, 0.2], prior_variance=prior_variance)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, math.nan])
def test_unusable_levels_are_refused(alpha):
    with pytest.raises(ValueError, match="'alpha' is"):
        confidence_sequence([0.1, 0.2], alpha)


@pytest.mark.parametrize("function", [e_value, confidence_sequence])
@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan], [math.inf, 1.0], [[1.0, 2.0]]])
def test_unusable_differences_are_refused(function, values):
    with pytest.raises(ValueError, match="'differences' h"):
        function(values)


@pytest.mark.parametrize("function", [e_value, confidence_sequence])
def test_differences_without_spread_are_refused(function):
    with pytest.raises(ValueError, match=r"differ from zero by 0.1 without any spread"):
        function([0.1, 0.1, 0.1])


@pytest.mark.parametrize("function", [e_value, confidence_sequence])
def test_differences_whose_squares_are_no_numbers_are_refused(function):
    for size in (1e-200, 1e200):
        with pytest.raises(ValueError, match="the largest magnitude in 'differences' is 3e"):
            function([size, 2 * size, 3 * size])


@pytest.mark.parametrize("size", [1e-60, 1e59])
def test_e_values_know_no_unit(size):
    """t^2 = 12 of (1, 2, 3): x = 6, w = 16, e = (7 / (1 + 6 / 16))^(3/2) / 4."""
    expected = (7 / 1.375) ** 1.5 / 4
    assert e_value([size, 2 * size, 3 * size]) == pytest.approx(expected)


def test_differences_come_in_any_container():
    expected = e_value([1.0, 2.0, 3.0])
    for container in (range(1, 4), (1, 2, 3), np.array([1, 2, 3], "u1"), np.ma.array([1, 2, 3])):
        assert e_value(container) == expected
    assert e_value(torch.tensor([1.0, 2.0, 3.0])) == expected
