"""Errors of forecasters whose errors are known, and the baselines against closed forms."""

import math

import pytest
import torch
from msgspec.structs import replace

from chimera.evaluation.errors import (
    MAX_ROLLOUT_NRMSE,
    evaluate,
    join_evaluations,
    limit_horizon,
    rollout_errors,
)
from chimera.evaluation.forecasters import linear_diffusion, network_forecaster, persistence
from chimera.evaluation.settings import EvaluateSettings
from chimera.interface.errors import InputError
from chimera.interface.settings import as_plain, read_settings
from chimera.solver.forcing import KolmogorovForcing

SETTINGS = EvaluateSettings(
    horizon=4, batch_size=3, valid_correlation=0.8, field_frame=2, device="cpu", threads=1
)


def geometric(ratio, n=5, T=6):
    """Return trajectories x_t = ratio^t x_0 (n, T, 1, 8, 8), float64."""
    first = torch.randn(n, 1, 1, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    return torch.cat([first * ratio**t for t in range(T)], dim=1)


def test_a_perfect_forecaster_has_no_error():
    values, field = evaluate(lambda x: 0.9 * x, geometric(0.9), SETTINGS)
    for name in ("nrmse", "vrmse", "rmse_low", "rmse_mid", "rmse_high", "rollout_nrmse"):
        assert max(values[name]) < 1e-12
    assert values["valid_time"] == [4.0] * 5
    torch.testing.assert_close(field, geometric(0.9)[:, 2])


def test_a_known_error_is_found_in_every_trajectory_and_frame():
    """Of x_t = r^t x_0 persistence errs by (1 - r^t) / r^t after t frames."""
    r = 0.8
    values, _ = evaluate(persistence, geometric(r), SETTINGS)
    assert values["nrmse"] == pytest.approx([(1 - r) / r] * 5)
    frames = [(1 - r**t) / r**t for t in range(1, 5)]
    assert values["frame_nrmse"] == pytest.approx(frames)
    assert values["rollout_nrmse"] == pytest.approx([sum(frames) / 4] * 5)
    assert values["frame_correlation"] == pytest.approx([1.0] * 4)


@pytest.mark.parametrize("batch_size", [1, 7, 25, 1000])
def test_every_sample_counts_once_whatever_the_batches(batch_size):
    trajectories = torch.randn(5, 6, 1, 8, 8, generator=torch.Generator().manual_seed(1)).double()
    settings = replace(SETTINGS, batch_size=batch_size)
    values, _ = evaluate(persistence, trajectories, settings)
    pairs = trajectories[:, :-1] - trajectories[:, 1:]
    norms = pairs.flatten(2).norm(dim=2) / trajectories[:, 1:].flatten(2).norm(dim=2)
    assert values["nrmse"] == pytest.approx(norms.mean(dim=1).tolist())


def test_a_rollout_that_blows_up_is_capped_and_finite():
    errors, field = rollout_errors(lambda x: x * 1e200, geometric(1.0), SETTINGS)
    assert torch.equal(errors["rollout_nrmse"], torch.full((5,), MAX_ROLLOUT_NRMSE).double())
    assert torch.equal(errors["frame_nrmse"], torch.full((4,), MAX_ROLLOUT_NRMSE).double())
    assert field.isfinite().all()
    assert errors["frame_correlation"].isfinite().all()


def test_the_horizon_must_fit():
    with pytest.raises(
        InputError, match=r"evaluate\.horizon is 4, expected less than the 4 frames"
    ):
        rollout_errors(persistence, geometric(1.0, T=4), SETTINGS)


def test_a_network_forecasts_in_physical_units():
    """With f(z) = c z, x -> std (1 + c)(x - mean) / std + mean."""
    network = torch.nn.Conv2d(1, 1, 1, bias=False)
    torch.nn.init.constant_(network.weight, 0.25)
    frames = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    forecaster = network_forecaster(network, torch.tensor(3.0), torch.tensor(2.0))
    torch.testing.assert_close(forecaster(frames), 1.25 * (frames - 3) + 3)


def test_linear_baseline_is_exact_without_advection():
    extent, nu, mu, interval = 3.0, 0.05, 0.2, 0.7
    x = torch.arange(16, dtype=torch.float64) * (extent / 16)
    k = 2 * math.pi / extent
    mode = (torch.cos(2 * k * x)[:, None] * torch.sin(3 * k * x)[None, :])[None, None]
    baseline = linear_diffusion(
        16, viscosity=nu, drag=mu, forcing=None, domain_extent=extent, interval=interval
    )
    expected = mode * math.exp(-(nu * 13 * k**2 + mu) * interval)
    torch.testing.assert_close(baseline(mode), expected)


def test_laminar_flow_is_the_linear_baseline_s_fixed_point_and_limit():
    forcing = KolmogorovForcing(1.0, 4)
    laminar = (forcing.vorticity_source(16, 2 * math.pi) / (0.05 * 16 + 0.1))[None, None]
    settings = {"viscosity": 0.05, "drag": 0.1, "forcing": forcing, "domain_extent": 2 * math.pi}
    torch.testing.assert_close(linear_diffusion(16, interval=0.3, **settings)(laminar), laminar)
    settled = linear_diffusion(16, interval=300.0, **settings)(torch.zeros_like(laminar))
    torch.testing.assert_close(settled, laminar)


def test_linear_baseline_follows_its_frames_to_their_device():
    settings = {"viscosity": 0.05, "drag": 0.1, "domain_extent": 2 * math.pi, "interval": 0.3}
    baseline = linear_diffusion(16, forcing=KolmogorovForcing(1.0, 4), **settings)
    forecast = baseline(torch.empty((3, 1, 16, 16), device="meta"))
    assert forecast.device.type == "meta"
    assert (forecast.shape, forecast.dtype) == ((3, 1, 16, 16), torch.float32)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"horizon": 0}, r"evaluate\.horizon is 0"),
        ({"field_frame": 9}, r"evaluate\.field_frame is 9, expected at most evaluate\.horizon"),
        ({"valid_correlation": 1.0}, r"evaluate\.valid_correlation is 1\.0"),
        ({"threads": 10**6}, r"evaluate\.threads is 1000000, .* at most 1024$"),
        ({"batch_size": 10**6}, r"evaluate\.batch_size is 1000000, .* at most 65536$"),
    ],
)
def test_impossible_settings_are_one_sentence(change, words):
    with pytest.raises(InputError, match=words):
        read_settings(as_plain(SETTINGS) | change, "evaluate", EvaluateSettings)


def test_groups_of_trajectories_join_to_the_whole():
    trajectories = torch.randn(7, 6, 2, 8, 8)
    settings = replace(SETTINGS, horizon=5, batch_size=4)

    def forecaster(frames):
        return 0.9 * frames

    whole, _ = evaluate(forecaster, trajectories, settings)
    groups = [evaluate(forecaster, part, settings)[0] for part in trajectories.split(3)]
    for name, values in join_evaluations(groups).items():
        assert values == pytest.approx(whole[name], rel=1e-5), name


def test_a_horizon_is_cut_to_what_there_is():
    settings = replace(SETTINGS, horizon=20, field_frame=8)
    assert limit_horizon(settings, 21) == settings
    shorter = limit_horizon(settings, 2)
    assert (shorter.horizon, shorter.field_frame) == (1, 1)
