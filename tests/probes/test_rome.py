"""The closed-form update against its golden numbers and its defining property, and the edit."""

import dataclasses
import math
import re

import numpy as np
import pytest
import torch
from torch import nn

from chimera.interface.errors import InputError
from chimera.models import build_model
from chimera.probes.common.registry import probe_settings
from chimera.probes.rome.convolutions import unfold_keys
from chimera.probes.rome.edit import edit, rank_one_update
from chimera.probes.rome.failure import Failure, Pairs, choose_failure
from chimera.probes.rome.settings import RomeSettings
from networks import UNET


def edit_settings(**settings):
    return RomeSettings(pairs=2, threshold=0.2, **settings)


def golden():
    r = np.random.default_rng(0)
    A = r.standard_normal((18, 18))
    X = r.standard_normal((500, 18)) @ A
    return X[:3].T, X.T @ X / 500, r.standard_normal((4, 3))


def drift(dW, C):
    return np.trace(dW @ C @ dW.T)


def test_golden_numbers():
    K, C, R = golden()
    dW = rank_one_update(np.zeros((4, 18)), K, R, C)
    assert drift(dW, C) == pytest.approx(1.111023099, abs=1e-8)
    plain = rank_one_update(np.zeros((4, 18)), K, R, np.eye(18))
    assert drift(plain, C) == pytest.approx(2.238973733, abs=1e-8)
    P = np.eye(18) - K @ np.linalg.pinv(K)  # onto null(K^T)
    assert np.abs(dW @ C @ P).max() < 1e-8


def test_values_are_targets_not_residuals():
    K, C, V = golden()
    W = np.random.default_rng(1).standard_normal((4, 18))
    dW = rank_one_update(W, K, V, C)
    np.testing.assert_allclose((W + dW) @ K, V, atol=1e-10)
    np.testing.assert_allclose(dW, rank_one_update(np.zeros((4, 18)), K, V - W @ K, C), atol=1e-10)
    assert np.linalg.matrix_rank(dW) == 3


def test_least_drift_of_all_that_meet_the_values():
    K, C, R = golden()
    dW = rank_one_update(np.zeros((4, 18)), K, R, C)
    P = np.eye(18) - K @ np.linalg.pinv(K)
    r = np.random.default_rng(2)
    for _ in range(20):
        other = dW + 0.01 * r.standard_normal((4, 18)) @ P
        np.testing.assert_allclose(other @ K, R, atol=1e-8)
        assert drift(other, C) > drift(dW, C)


def test_one_key_is_the_closed_form_of_rome():
    """Meng et al. 2022, eq. 2: dW = (v* - W k) (C^-1 k)^T / (k^T C^-1 k)."""
    K, C, R = golden()
    k, v = K[:, 0], R[:, 0]
    u = np.linalg.inv(C) @ k
    expected = np.outer(v, u) / (u @ k)
    np.testing.assert_allclose(rank_one_update(np.zeros((4, 18)), k, v, C), expected, rtol=1e-8)


@pytest.mark.parametrize("num_keys", [3, 40])
def test_soft_form(num_keys):
    r = np.random.default_rng(3)
    _, C, _ = golden()
    K, R = r.standard_normal((18, num_keys)), r.standard_normal((4, num_keys))
    softness = 0.7
    expected = R @ K.T @ np.linalg.inv(softness * C + K @ K.T)
    dW = rank_one_update(np.zeros((4, 18)), K, R, C, softness)
    np.testing.assert_allclose(dW, expected, rtol=1e-8, atol=1e-10)


def test_soft_form_tends_to_the_exact_one():
    K, C, R = golden()
    exact = rank_one_update(np.zeros((4, 18)), K, R, C)
    gaps = [
        np.abs(rank_one_update(np.zeros((4, 18)), K, R, C, softness) - exact).max()
        for softness in (1e-3, 1e-4)
    ]
    assert gaps[1] == pytest.approx(gaps[0] / 10, rel=0.1)  # first order in lambda


def test_tensors_stay_tensors():
    K, C, R = (torch.from_numpy(m).float() for m in golden())
    dW = rank_one_update(torch.zeros(4, 18), K, R, C)
    assert isinstance(dW, torch.Tensor)
    assert dW.dtype == torch.float32
    torch.testing.assert_close(dW @ K, R, rtol=1e-4, atol=1e-4)


def test_bad_updates():
    K, C, R = golden()
    W = np.zeros((4, 18))
    singular = C.copy()
    singular[:, 5] = singular[5, :] = 0
    with pytest.raises(InputError, match=r"covariance C is singular .*expected a positive def"):
        rank_one_update(W, K, R, singular)
    with pytest.raises(InputError, match="covariance C is singular"):
        rank_one_update(W, K, R, K @ K.T)
    with pytest.raises(InputError, match="covariance C holds NaN or infinite"):
        rank_one_update(W, K, R, C * math.nan)
    with pytest.raises(InputError, match=r"covariance C has shape \(3, 3\), expected \(18, 18\)"):
        rank_one_update(W, K, R, np.eye(3))
    with pytest.raises(InputError, match=r"keys have shape \(4, 3\) and values \(4, 3\) for"):
        rank_one_update(W, R, R, C)
    twice = np.concatenate([K, K], axis=1)
    with pytest.raises(InputError, match=r"of the keys is singular .*softness above 0"):
        rank_one_update(W, twice, np.concatenate([R, R], axis=1), C)
    with pytest.raises(InputError, match="covariance C is not symmetric"):
        rank_one_update(W, K, R, C + np.triu(C))
    for weight, keys, values in (
        (W * math.nan, K, R),
        (W, K * math.inf, R),
        (W, K, R * math.nan),
    ):
        with pytest.raises(InputError, match=r"^weight, keys or values hold NaN or infinite"):
            rank_one_update(weight, keys, values, C)
    for softness in (-0.1, math.nan, math.inf):
        with pytest.raises(InputError, match=f"^softness is {softness}, expected 0 or more"):
            rank_one_update(W, K, R, C, softness)
    for keys, values in ((K[:, :0], R[:, :0]), (K[:0], R), (K[:, :, None], R[:, :, None])):
        with pytest.raises(InputError, match=r"^keys have shape .*, not empty"):
            rank_one_update(W if len(keys) else W[:, :0], keys, values, C)


@pytest.mark.parametrize("kind", [int, np.int8, bool])
def test_a_weight_of_whole_numbers_has_an_update_of_floats(kind):
    weight, key, value, C = np.zeros((1, 2)), np.array([1, 0]), np.array([3]), [[2, 1], [1, 2]]
    found = rank_one_update(weight.astype(kind), key, value, np.array(C))
    np.testing.assert_allclose(found, [[3, -1.5]])
    whole = torch.from_numpy(weight.astype(kind))
    found = rank_one_update(whole, torch.from_numpy(key), torch.from_numpy(value), torch.tensor(C))
    torch.testing.assert_close(found, torch.tensor([[3, -1.5]], dtype=torch.float64))


def periodic_conv(kernel):
    conv = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular", bias=False)
    conv.weight.data = kernel.reshape(1, 1, 3, 3).clone()
    return conv


def linear_failure(old, new):
    """IND follows the kernel `old` with a little noise, OOD the kernel `new`."""

    def pairs(kernel, seed, count, noise=0.0):
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(count, 1, 16, 16, generator=generator)
        with torch.no_grad():
            y = periodic_conv(kernel)(x)
        return Pairs(x, y + noise * torch.randn(y.shape, generator=generator))

    return Failure(
        target=pairs(new, 0, 1),
        later=pairs(new, 1, 3),
        others=pairs(new, 2, 4),
        reference=pairs(old, 3, 20, 0.1),
        preserved=pairs(old, 4, 8, 0.1),
        held_out=pairs(old, 5, 8, 0.1),
    )


def kernels():
    generator = torch.Generator().manual_seed(7)
    old = torch.randn(9, generator=generator)
    return old, old + 0.5 * torch.randn(9, generator=generator)


def test_an_edit_of_full_rank_finds_the_true_weights():
    """With nine keys of nine dimensions and nothing to preserve, dW = new - old: all is repaired.

    IND forecasts then err by the noise 0.1 and by (new - old) x, x white: e'/e follows.
    """
    old, new = kernels()
    failure = linear_failure(old, new)
    settings = edit_settings(num_keys=9, preservation=0.0, iterations=60)
    model = nn.Sequential(periodic_conv(old))
    result = edit(model, "0", failure, settings, np.random.default_rng(0))["rome"]
    for value in (result.efficacy, result.later_frames, result.other_trajectories):
        assert value == pytest.approx(1.0, abs=1e-3)
    moved = float((new - old).norm())
    expected = math.hypot(0.1, moved) / 0.1 - 1
    assert result.ind_drift == pytest.approx(expected, rel=0.05)
    assert result.update_norm == pytest.approx(moved / float(old.norm()), rel=1e-3)


def test_preservation_weighs_drift_against_efficacy():
    """The quadratic trade-off of one linear layer: white x, dW = s (new - old), loss
    (1 - s)^2 + rho s^2 ||new - old||^2 / 0.1^2, so s = 1 / (1 + rho ||new - old||^2 / 0.1^2)."""
    old, new = kernels()
    failure = linear_failure(old, new)
    model = nn.Sequential(periodic_conv(old))
    moved = float((new - old).norm())
    for rho in (0.003, 0.03):
        settings = edit_settings(num_keys=9, preservation=rho, iterations=60)
        result = edit(model, "0", failure, settings, np.random.default_rng(0))["rome"]
        expected = 1 / (1 + rho * moved**2 / 0.01)
        assert result.efficacy == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("rho", [0.01, 0.1])
def test_every_contender_reaches_its_own_optimum(rho):
    """J of one linear layer is quadratic in dW, with d = new - old and H = K K^T of all patches:

        J = (d - dW)^T H1 (d - dW) / a + rho dW^T H2 dW / b

    Nine keys span all dW: three contenders meet in one optimum, and the gradient's is on its line.
    """
    old, new = kernels()
    failure = linear_failure(old, new)
    model = nn.Sequential(periodic_conv(old))
    settings = edit_settings(num_keys=9, preservation=rho, iterations=60)
    found = edit(model, "0", failure, settings, np.random.default_rng(0))
    d = (new - old).double()
    H1, H2 = (
        (keys @ keys.T).double()
        for keys in (
            unfold_keys(model[0], p.inputs)[0] for p in (failure.target, failure.preserved)
        )
    )
    with torch.no_grad():
        error = model(failure.preserved.inputs) - failure.preserved.targets
    a, b = d @ H1 @ d, float(error.double().square().sum())

    def at(dW):
        return float((d - dW) @ H1 @ (d - dW) / a + rho * dW @ H2 @ dW / b)

    best = at(torch.linalg.solve(H1 / a + rho * H2 / b, H1 @ d / a))
    for method in ("rome", "identity", "low_rank"):
        assert found[method].objective == pytest.approx(best, rel=1e-3), method
    g = H1 @ d / a
    step = g @ g / (g @ (H1 / a + rho * H2 / b) @ g)
    assert found["gradient"].objective == pytest.approx(at(step * g), rel=1e-2)
    assert found["unpreserved"].objective == pytest.approx(at(d), rel=1e-2)
    assert found["unpreserved"].efficacy == pytest.approx(1.0, abs=1e-2)


def test_drift_elsewhere_is_the_mean_over_other_axes():
    """One axis follows the old kernel with the noise of IND, another the new kernel exactly."""
    old, new = kernels()
    failure = linear_failure(old, new)
    failure = dataclasses.replace(failure, elsewhere=(failure.held_out, failure.others))
    settings = edit_settings(num_keys=9, preservation=0.01, iterations=60)
    model = nn.Sequential(periodic_conv(old))
    found = edit(model, "0", failure, settings, np.random.default_rng(0), ("rome",))
    assert list(found) == ["rome"]
    expected = (found["rome"].ind_drift - found["rome"].other_trajectories) / 2
    assert found["rome"].axes_drift == pytest.approx(expected, rel=1e-6)


def smooth(count, seed, angle):
    """Flows of smooth random fields, advected by two cells per frame along x or y."""
    generator = torch.Generator().manual_seed(seed)
    noise_hat = torch.fft.rfft2(torch.randn(count, 16, 16, generator=generator))
    m_x, m_y = torch.fft.fftfreq(16, 1 / 16)[:, None], torch.fft.rfftfreq(16, 1 / 16)
    field = torch.fft.irfft2(noise_hat * torch.exp(-(m_x**2 + m_y**2) / 16))
    field = field / field.std()
    frames = [torch.roll(field, 2 * t, dims=-1 if angle else -2) for t in range(8)]
    return torch.stack(frames, dim=1)[:, :, None]


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = build_model(UNET | {"channels": [4, 8]})
    frames = smooth(64, 0, angle=0)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(150):
        x, y = frames[step % 64 :: 4, 2].clone(), frames[step % 64 :: 4, 3].clone()
        loss = (x + model(x) - y).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    ind, ood = smooth(12, 1, angle=0), smooth(6, 2, angle=1)
    return model, choose_failure(model, ind, ood, gap=3)


def test_edit_of_a_trained_network(trained):
    model, failure = trained
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    results = {
        rho: edit(
            model,
            "bottleneck.second.conv",
            failure,
            edit_settings(preservation=rho),
            np.random.default_rng(0),
        )
        for rho in (0.0, 1.0)
    }
    assert all(module.training for module in model.modules())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name]), name
        assert value.grad is None
    for repairs in results.values():
        assert all(math.isfinite(value) for repair in repairs.values() for value in repair)
    # More of the target is repaired without preservation, at the expense of IND.
    bare, kept = results[0.0]["rome"], results[1.0]["rome"]
    assert bare.efficacy > kept.efficacy > 0.02
    assert bare.ind_drift > kept.ind_drift
    assert results[1.0]["unpreserved"]._replace(objective=0) == bare._replace(objective=0)
    # The larger set of updates has the smaller optimum; none is worse than no edit, where J = 1.
    found = {method: repair.objective for method, repair in results[1.0].items()}
    assert found["low_rank"] < 1.01 * min(found["rome"], found["gradient"])
    assert max(found[method] for method in ("rome", "identity", "low_rank", "gradient")) <= 1


def test_edit_is_reproducible(trained):
    model, failure = trained
    first, second = (
        edit(model, "decoder0.first.conv", failure, edit_settings(), np.random.default_rng(3))
        for _ in range(2)
    )
    assert first == second


def test_edit_of_a_grouped_convolution():
    torch.manual_seed(0)
    old, new = kernels()
    first = nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular")
    grouped = nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular", groups=2)
    model = nn.Sequential(first, nn.Tanh(), grouped, nn.Conv2d(6, 1, 1))
    failure = linear_failure(old, new)
    found = edit(model, "2", failure, edit_settings(preservation=0.0), np.random.default_rng(0))
    assert found["rome"].efficacy > 0.05


def test_bad_edits(trained):
    model, failure = trained
    rng = np.random.default_rng(0)

    def attempt(layer="bottleneck.second.conv", failure=failure, **settings):
        return edit(model, layer, failure, edit_settings(**settings), rng)

    with pytest.raises(InputError, match=r"'up0' is not a convolution, expected one of .*head"):
        attempt("up0")
    with pytest.raises(InputError, match=r"num_keys is 60, expected at most \d+: .* 8 x 8 cells"):
        attempt(num_keys=60)
    few = dataclasses.replace(failure, reference=Pairs(failure.reference.inputs[:1], None))
    with pytest.raises(InputError, match="64 keys for 72 patch dimensions, expected at least 10"):
        attempt(failure=few)
    constant = dataclasses.replace(failure, reference=Pairs(torch.zeros(40, 1, 16, 16), None))
    with pytest.raises(InputError, match="covariance C is singular"):
        attempt(failure=constant)
    inputs = failure.target.inputs
    with torch.no_grad():
        model.eval()
        solved = dataclasses.replace(failure, target=Pairs(inputs, model(inputs)))
    with pytest.raises(InputError, match="has no error, expected a failure"):
        attempt(failure=solved)
    broken = dataclasses.replace(failure, reference=Pairs(failure.reference.inputs / 0, None))
    with pytest.raises(InputError, match=r"activations .* hold NaN or infinite values"):
        attempt(failure=broken)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_keys", 0),
        ("iterations", 0),
        ("preservation", -1.0),
        ("softness", math.inf),
        ("keys_per_dimension", 5),
        ("keys_per_dimension", 10**12),
        ("iterations", 10**12),
        ("preservation", 1e300),
        ("pairs", 10**12),
        ("layers", 0),
        ("axes", 0),
    ],
)
def test_bad_settings(name, value):
    with pytest.raises(
        InputError, match=rf"^probes\.rome\.{name} is {re.escape(str(value))}, expected a "
    ):
        probe_settings("rome", {"pairs": 8, "threshold": 0.2, name: value})
