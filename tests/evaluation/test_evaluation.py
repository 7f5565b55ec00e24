"""Errors of forecasters whose errors are known, and the baselines against closed forms."""

import math

import numpy as np
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
from chimera.evaluation.forecasters import (
    Physics,
    classical,
    linear_diffusion,
    network_forecaster,
    persistence,
    physics_of,
)
from chimera.evaluation.settings import EvaluateSettings
from chimera.interface.errors import InputError
from chimera.interface.settings import as_plain, read_settings
from chimera.models.forecasting.checkpoint import Trained
from chimera.solver import KolmogorovForcing, random_vorticity, simulate

SETTINGS = EvaluateSettings(
    horizon=4, batch_size=3, valid_correlation=0.8, field_frame=2, device="cpu", threads=1
)


def geometric(ratio, n=5, T=6):
    """Return trajectories x_t = ratio^t x_0 (n, T, 1, 8, 8), float64."""
    first = torch.randn(n, 1, 1, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    return torch.cat([first * ratio**t for t in range(T)], dim=1)


def test_a_perfect_forecaster_has_no_error():
    values, forecasts = evaluate(lambda x, _: 0.9 * x, geometric(0.9), SETTINGS)
    for name in ("nrmse", "vrmse", "rmse_low", "rmse_mid", "rmse_high", "rollout_nrmse"):
        assert max(values[name]) < 1e-12
    assert values["valid_time"] == [4.0] * 5
    torch.testing.assert_close(forecasts, geometric(0.9)[:, 1:5])


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
    errors, _ = rollout_errors(lambda x, _: x * 1e200, geometric(1.0), SETTINGS)
    assert torch.equal(errors["rollout_nrmse"], torch.full((5,), MAX_ROLLOUT_NRMSE).double())
    assert torch.equal(errors["frame_nrmse"], torch.full((4,), MAX_ROLLOUT_NRMSE).double())
    assert errors["frame_correlation"].isfinite().all()


def test_the_horizon_must_fit():
    with pytest.raises(InputError, match=r"evaluate\.horizon is 4, expected at most 3, the"):
        rollout_errors(persistence, geometric(1.0, T=4), SETTINGS)


def test_a_network_forecasts_in_physical_units():
    """With f(z) = c z, x -> std (1 + c)(x - mean) / std + mean."""
    network = torch.nn.Conv2d(1, 1, 1, bias=False)
    torch.nn.init.constant_(network.weight, 0.25)
    frames = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    moments = torch.tensor(3.0).reshape(1, 1, 1), torch.tensor(2.0).reshape(1, 1, 1)
    trained = Trained(network, *moments, ("vorticity",), ())
    forecaster = network_forecaster(trained, torch.empty(2, 0, 4, 4))
    torch.testing.assert_close(forecaster(frames, torch.arange(2)), 1.25 * (frames - 3) + 3)


def test_a_network_forecasts_each_frame_with_its_trajectory_s_conditioning():
    """With f(z, c) = c, x -> x + std (c - mean_c) / std_c, with c of the frame's trajectory."""
    network = torch.nn.Conv2d(2, 1, 1, bias=False)
    network.weight.data = torch.tensor([0.0, 1.0]).reshape(1, 2, 1, 1)
    mean, std = (torch.tensor(values).reshape(2, 1, 1) for values in ([3.0, 1.0], [2.0, 4.0]))
    constant = torch.tensor([5.0, -7.0, 9.0]).reshape(3, 1, 1, 1).expand(3, 1, 4, 4)
    forecaster = network_forecaster(Trained(network, mean, std, ("w",), ("c",)), constant)
    frames = torch.randn(4, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    numbers = torch.tensor([2, 0, 1, 2])
    added = 2 * (torch.tensor([9.0, 5.0, -7.0, 9.0]) - 1) / 4
    expected = frames + added[:, None, None, None]
    torch.testing.assert_close(forecaster(frames, numbers), expected)


def physics(viscosity, drag, forcing, extent=2 * math.pi, interval=0.3):
    """Return the physics of trajectories, from a list for each of the first three."""
    as_double = (torch.tensor(values, dtype=torch.float64) for values in (viscosity, drag))
    return Physics(*as_double, forcing, extent, interval)


def test_linear_baseline_is_exact_without_advection():
    """Each mode decays by exp(-(nu k^2 + mu) T), with the nu and mu of the frame's trajectory."""
    extent, nu, mu, interval = 3.0, (0.05, 0.02), (0.2, 0.3), 0.7
    x = torch.arange(16, dtype=torch.float64) * (extent / 16)
    k = 2 * math.pi / extent
    mode = (torch.cos(2 * k * x)[:, None] * torch.sin(3 * k * x)[None, :])[None, None]
    still = KolmogorovForcing(0.0, 1)
    baseline = linear_diffusion(physics(nu, mu, [still] * 2, extent, interval), 16)
    for i in range(2):
        expected = mode * math.exp(-(nu[i] * 13 * k**2 + mu[i]) * interval)
        torch.testing.assert_close(baseline(mode, torch.tensor([i])), expected)


def test_laminar_flow_is_the_linear_baseline_s_fixed_point_and_limit():
    forces = [KolmogorovForcing(1.0, 4), KolmogorovForcing(0.5, 3)]
    laminar = torch.stack(
        [f.vorticity_source(16, 2 * math.pi) / (0.05 * f.wavenumber**2 + 0.1) for f in forces]
    )[:, None]
    both = torch.arange(2)
    of = physics([0.05, 0.05], [0.1, 0.1], forces)
    torch.testing.assert_close(linear_diffusion(of, 16)(laminar, both), laminar)
    settled = linear_diffusion(of._replace(interval=300.0), 16)(torch.zeros_like(laminar), both)
    torch.testing.assert_close(settled, laminar)


def test_linear_baseline_follows_its_frames_to_their_device():
    baseline = linear_diffusion(physics([0.05], [0.1], [KolmogorovForcing(1.0, 4)]), 16)
    frames = torch.empty((3, 1, 16, 16), device="meta")
    forecast = baseline(frames, torch.zeros(3, dtype=torch.int64))
    assert forecast.device.type == "meta"
    assert (forecast.shape, forecast.dtype) == ((3, 1, 16, 16), torch.float32)


def test_solver_baselines_come_closer_to_the_flow_the_finer_their_grid():
    """Against the solver itself in double precision on 64^2, which resolves this flow.

    A flow whose modes all fit the coarser grid, at m below N / 3, is forecast almost exactly.
    """
    generator = np.random.default_rng(0)
    smooth = torch.stack([random_vorticity(generator, 64, 2 * math.pi, 2) for _ in range(2)])
    forces = [KolmogorovForcing(1.0, 4), KolmogorovForcing(0.7, 3, math.pi / 2)]
    of = physics([0.02, 0.05], [0.1, 0.0], forces)
    rest = {"viscosity": of.viscosity, "drag": of.drag, "forcing": forces}
    truth = simulate(
        smooth, **rest, domain_extent=of.domain_extent, time_step=0.005, num_steps=60, save_every=60
    )[:, -1:]
    frames = smooth[:, None].float()
    assert list(classical(of, 64)) == ["linear", "solver_64", "solver_48", "solver_32"]
    assert list(classical(of, 32)) == ["linear", "solver_32"]
    errors = {}
    for name, forecaster in classical(of, 64).items():
        forecast = forecaster(frames, torch.arange(2)).double()
        errors[name] = float((forecast - truth).norm() / truth.norm())
        swapped = forecaster(frames.flip(0), torch.tensor([1, 0])).double().flip(0)
        torch.testing.assert_close(swapped, forecast, rtol=0, atol=2e-4)
    assert errors["solver_64"] < errors["solver_48"] < 1e-3
    assert errors["solver_48"] < errors["solver_32"] < 0.05 < errors["linear"]


def test_physics_comes_from_the_files_scalars():
    scalars = {
        "viscosity": np.array([0.01, 0.02]),
        "drag": np.array([0.1, 0.1]),
        "forcing_amplitude": np.array([1.0, 0.0]),
        "forcing_wavenumber": np.array([4.0, 3.0]),
        "forcing_angle": np.array([0.0, math.pi / 2]),
    }
    found = physics_of(scalars, 2 * math.pi, 0.25)
    assert found.viscosity.tolist() == [0.01, 0.02]
    assert list(found.forcing) == [
        KolmogorovForcing(1.0, 4, 0.0),
        KolmogorovForcing(0.0, 3, math.pi / 2),
    ]


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

    def forecaster(frames, numbers):
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
