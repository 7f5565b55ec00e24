"""Gaussian channels of known information through the whole protocol; saturation is detected."""

import math

import numpy as np
import pytest
from scipy import stats

from chimera.interface.errors import InputError
from chimera.probes.ib.controls import (
    block_orders,
    canonical_correlations,
    controlled_information,
    draw_controls,
    gaussian_information,
    normal_scores,
    prepare_target,
    principal_components,
    shared_scale_information,
)


def judged(x, y, num_components, blocks=10, num_neighbors=3, seed=0):
    r = np.random.default_rng(seed)
    x, y = (normal_scores(principal_components(s, num_components, "side")[0]) for s in (x, y))
    target = prepare_target(x, blocks, 100, r)
    return controlled_information(target, y, draw_controls(8, len(x), y.shape[1], r), num_neighbors)


def refused(found, tolerance=0.1):
    return found.control_error > tolerance


def channel(n, rho, rng):
    """Latent Gaussians of given canonical correlations, each side seen through many features."""
    x = rng.standard_normal((n, len(rho)))
    y = rho * x + np.sqrt(1 - np.square(rho)) * rng.standard_normal((n, len(rho)))
    scales = np.geomspace(1e-3, 1e3, 20)
    return tuple(side @ rng.standard_normal((len(rho), 20)) * scales for side in (x, y))


@pytest.mark.parametrize("rho", [[0.9], [0.9, 0.6], [0.8, 0.8]])
def test_a_gaussian_channel_is_measured_and_its_control_agrees(rho):
    x, y = channel(1500, np.array(rho), np.random.default_rng(1))
    truth = -0.5 * math.fsum(math.log(1 - r * r) for r in rho)
    found = judged(x, y, len(rho))
    assert found.information == pytest.approx(truth, rel=0.1)
    assert found.half == pytest.approx(truth, rel=0.1)
    assert found.quarter == pytest.approx(truth, rel=0.2)
    assert found.gaussian == pytest.approx(truth, rel=0.08)
    assert found.control == pytest.approx(found.gaussian, rel=0.1)
    assert found.control_error < 0.1
    assert abs(found.null_mean) < 4 * found.null_sd
    assert found.p == 1 / 101


def test_independent_sides_have_no_information_to_be_measured():
    r = np.random.default_rng(0)
    found = judged(r.standard_normal((1000, 3)), r.standard_normal((1000, 3)), 2)
    assert abs(found.information - found.null_mean) < 3 * found.null_sd
    assert found.low < 0 < found.high
    assert found.p > 0.01


def test_a_truth_near_zero_is_measured_to_a_part_of_the_small_information():
    """The scatter of the control's mean refuses a few; a relative tolerance would refuse all."""
    sides = (np.random.default_rng(seed).standard_normal((2, 1000, 2)) for seed in range(8))
    assert sum(refused(judged(x, y, 2, seed=x.size)) for x, y in sides) <= 1


def test_saturation_in_ten_dimensions_is_seen_by_the_control_alone():
    x, y = channel(1000, np.full(10, 0.9), np.random.default_rng(0))
    found = judged(x, y, 10)
    assert found.gaussian == pytest.approx(-5 * math.log(1 - 0.81), rel=0.05)
    assert found.control < 0.5 * found.gaussian
    assert found.control_error > 0.5
    assert abs(found.null_mean) < 0.1
    assert found.p == 1 / 101


def test_a_function_of_x_grows_with_the_number_of_samples():
    x = np.random.default_rng(0).standard_normal((1600, 1))
    found = judged(x, x, 1)
    assert found.information - found.half == pytest.approx(math.log(2), abs=0.01)
    assert found.half - found.quarter == pytest.approx(math.log(2), abs=0.01)
    assert found.control_error > 0.1


def student(n, d, freedom, rng):
    both = rng.standard_normal((n, 2 * d)) * np.sqrt(freedom / rng.chisquare(freedom, (n, 1)))
    return both[:, :d], both[:, d:]


def test_long_tails_are_measured_in_one_dimension_and_refused_in_two():
    """No correlation, yet information; a Gaussian control sees nothing of it."""
    r = np.random.default_rng(0)
    scalar, planar = (judged(*student(1000, d, 1, r), d) for d in (1, 2))
    truth = shared_scale_information(1, 1, 1)
    assert truth == pytest.approx(0.2242, abs=1e-4)  # Czyz et al. 2023, Student-t 1 x 1
    assert scalar.gaussian < 0.02
    assert scalar.low < truth < scalar.high
    assert not refused(scalar)
    assert planar.information < 0.9 * shared_scale_information(1, 2, 2)
    assert refused(planar)


def test_shared_scale_vanishes_for_gaussians_and_is_that_of_the_density():
    assert shared_scale_information(1e6, 2, 3) == pytest.approx(0, abs=1e-4)
    joint, single = stats.multivariate_t(np.zeros(2), np.eye(2), 3), stats.t(3)
    expected = 2 * single.entropy() - joint.entropy()
    assert shared_scale_information(3, 1, 1) == pytest.approx(expected, abs=1e-6)


def test_too_few_samples_for_their_information_are_refused():
    x, y = channel(60, np.array([0.98, 0.98]), np.random.default_rng(0))
    assert refused(judged(x, y, 2))


def test_normal_scores_keep_order_and_information():
    values = np.random.default_rng(0).standard_cauchy((400, 2))
    scores = normal_scores(values)
    assert (scores.argsort(axis=0) == values.argsort(axis=0)).all()
    assert scores.mean(axis=0) == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(np.sort(scores[:, 0]), stats.norm.ppf((np.arange(400) + 0.5) / 400))


def test_block_shuffles_keep_what_a_trajectory_has_in_common():
    """Independent levels of trajectories look like information, and are in the null as well."""
    r = np.random.default_rng(0)
    levels = 3 * np.repeat(r.standard_normal((12, 2)), 50, axis=0)
    x, y = np.split(levels + r.standard_normal((600, 2)), 2, axis=1)
    found = judged(x, y, 1, blocks=12)
    assert found.information > 0.2
    assert found.p > 0.1


def test_orders_exchange_whole_blocks():
    blocks, size = 6, 7
    label, place = np.divmod(np.arange(blocks * size), size)
    orders = block_orders(blocks, size, 200, np.random.default_rng(0))
    assert orders.shape == (200, 42)
    for order in orders:
        moved = label[order].reshape(blocks, size)
        assert (moved == moved[:, :1]).all()
        assert (moved[:, 0] != np.arange(blocks)).all()
        assert sorted(moved[:, 0]) == list(range(blocks))
        np.testing.assert_array_equal(place[order], place)
    assert len(np.unique(orders, axis=0)) > 100  # of 265 derangements of six


@pytest.mark.parametrize("shape", [(200, 12), (12, 200)])
def test_components_are_those_of_a_singular_value_decomposition(shape):
    r = np.random.default_rng(0)
    features = r.standard_normal(shape) @ np.diag(r.random(shape[1])) + r.standard_normal(shape[1])
    features[:, 3] += 4 * features[:, 5]
    kept, explained = principal_components(features, 3, "x")
    values = (features - features.mean(axis=0)) / features.std(axis=0)
    u, s, vt = np.linalg.svd(values, full_matrices=False)
    expected = u[:, :3] * math.sqrt(len(u))
    for j in range(3):
        sign = np.sign(vt[j, np.abs(vt[j]).argmax()])
        np.testing.assert_allclose(kept[:, j], sign * expected[:, j], atol=1e-8)
    assert explained == pytest.approx((s[:3] ** 2).sum() / (s**2).sum(), abs=1e-12)


def test_components_do_not_depend_on_scale_and_leave_out_what_does_not_vary():
    r = np.random.default_rng(0)
    features = r.standard_normal((100, 4)) @ r.standard_normal((4, 6))
    kept, _ = principal_components(features, 2, "x")
    scaled = features * 2.0 ** np.arange(-3, 3) + 0.0
    np.testing.assert_array_equal(principal_components(scaled, 2, "x")[0], kept)
    padded = np.hstack([features, np.full((100, 2), 7.0)])
    np.testing.assert_array_equal(principal_components(padded, 2, "x")[0], kept)
    assert principal_components(features[:, :1] * [1, -2], 3, "x")[0].shape == (100, 1)


def test_correlations_are_multiple_correlations_and_know_no_basis():
    r = np.random.default_rng(0)
    x, y = r.standard_normal((300, 3)), r.standard_normal((300, 2))
    y[:, 0] += x @ [1.0, -1.0, 0.5]
    one = y[:, :1]
    centred = x - x.mean(axis=0)
    fit = centred @ np.linalg.lstsq(centred, one - one.mean(), rcond=None)[0]
    assert canonical_correlations(x, one)[0] == pytest.approx(fit.std() / one.std(), abs=1e-12)
    turned = x @ r.standard_normal((3, 3)) + 5, y @ r.standard_normal((2, 2))
    np.testing.assert_allclose(
        canonical_correlations(*turned), canonical_correlations(x, y), atol=1e-10
    )
    assert np.isfinite(gaussian_information(canonical_correlations(x, x)))


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (np.ones((20, 3)), "side is constant over 20 samples, expected variation"),
        (np.full((20, 3), np.nan), "side holds NaN or infinite values, expected finite ones"),
    ],
)
def test_what_has_no_components_is_one_sentence(features, said):
    with pytest.raises(InputError, match=said):
        principal_components(features, 2, "side")
