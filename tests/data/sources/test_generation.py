"""Every trajectory from its own seed: the same bytes alone, in any company, in any process."""

import math

import numpy as np
import pytest
import torch

from chimera.data.sources import generation
from chimera.data.sources.generation import Regime, generate, simulate_trajectories
from chimera.fields.fourier import resample, velocity
from chimera.interface.errors import InputError
from chimera.solver.forcing import KolmogorovForcing
from chimera.solver.navier_stokes import simulate

SMALL = Regime(
    viscosity=0.02,
    drag=0.1,
    forcing=KolmogorovForcing(1.0, 2),
    initial_peak=2,
    warm_up=0.3,
    max_speed=5.0,
    domain_extent=2 * math.pi,
    simulated_points=24,
    num_points=16,
    num_frames=4,
    frame_interval=0.25,
)


def changed(**changes):
    return Regime(**(vars(SMALL) | changes))


def test_any_subset_is_the_whole_s_bit_for_bit():
    whole = simulate_trajectories(SMALL, (1, 2), range(8))
    assert whole.shape == (8, 4, 16, 16)
    assert whole.dtype == np.float32
    for numbers in ([5], [3, 2], [7, 0, 4], range(2, 6)):
        subset = simulate_trajectories(SMALL, (1, 2), numbers)
        np.testing.assert_array_equal(subset, whole[list(numbers)])
    assert not np.array_equal(simulate_trajectories(SMALL, (1, 3), [0]), whole[:1])


def test_processes_and_splits_change_no_byte(monkeypatch):
    splits = [((1, 0), 11), ((1, 1), 3)]
    alone = generate(SMALL, splits, processes=1)
    monkeypatch.setattr(generation, "_MIN_PARALLEL_WORK", 0)
    together = generate(SMALL, splits, processes=2)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [len(part) for part in alone] == [11, 3]
    np.testing.assert_array_equal(alone[0][:8], simulate_trajectories(SMALL, (1, 0), range(8)))


@pytest.mark.parametrize("processes", [1, 2])
def test_an_unstable_regime_names_trajectory_and_time(monkeypatch, processes):
    monkeypatch.setattr(generation, "_MIN_PARALLEL_WORK", 0)
    with pytest.raises(InputError, match=r"trajectory \d+ has CFL number .* at time \d"):
        generate(changed(max_speed=0.3), [((0,), 9)], processes)


def test_time_step_follows_from_the_largest_speed():
    for speed in (1.0, 5.0, 20.0):
        regime = changed(max_speed=speed)
        step = regime.frame_interval / regime.steps_per_frame
        cfl = step * speed * regime.simulated_points / regime.domain_extent
        assert cfl <= generation.MAX_CFL
        slower = regime.frame_interval / (regime.steps_per_frame - 1 or 1)
        if regime.steps_per_frame > 1:
            assert slower * speed * regime.simulated_points / regime.domain_extent > (
                generation.MAX_CFL
            )


def test_one_frame_of_a_default_regime_agrees_with_twice_the_resolution():
    """Developed IND flow, one frame at 128^2 and at 256^2, compared on the stored 64^2."""
    regime = changed(
        viscosity=0.01,
        forcing=KolmogorovForcing(1.0, 4),
        initial_peak=4,
        warm_up=2.0,
        max_speed=6.0,
        simulated_points=128,
        num_points=128,
        num_frames=2,
    )
    start = torch.from_numpy(simulate_trajectories(regime, (0,), [0, 1])).double()[:, 0]
    physics = {
        "viscosity": 0.01,
        "drag": 0.1,
        "forcing": regime.forcing,
        "domain_extent": regime.domain_extent,
    }

    def next_frame(points, steps):
        frames = simulate(
            resample(start, points),
            time_step=0.25 / steps,
            num_steps=steps,
            save_every=steps,
            **physics,
        )
        return resample(frames[:, -1], 64)

    coarse = next_frame(128, regime.steps_per_frame)
    fine = next_frame(256, 2 * regime.steps_per_frame)
    assert float((coarse - fine).norm() / fine.norm()) < 1e-2


def test_resampling_is_exact_for_what_both_grids_resolve():
    def field(points):
        s = 2 * math.pi * torch.arange(points, dtype=torch.float64) / points
        return torch.cos(3 * s[:, None] - 7 * s[None, :]) + torch.sin(5 * s)[:, None]

    torch.testing.assert_close(resample(field(32), 16), field(16))
    torch.testing.assert_close(resample(field(16), 32), field(32))
    assert torch.equal(resample(field(16), 16), field(16))


def test_frames_start_after_the_transient():
    """With warm-up, the ensemble's mean energy has no trend left: early and late halves agree."""
    regime = changed(warm_up=30.0, num_frames=40, viscosity=0.05, max_speed=8.0)
    frames = torch.from_numpy(simulate_trajectories(regime, (0,), range(16))).double()
    energy = velocity(frames, regime.domain_extent).square().sum(-1).mean((-2, -1)) / 2  # (n, T)
    early, late = energy[:, :20].mean(1), energy[:, 20:].mean(1)
    difference = late - early
    standard_error = float(difference.std() / math.sqrt(len(difference)))
    assert abs(float(difference.mean())) < 3 * standard_error
