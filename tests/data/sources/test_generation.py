"""Every trajectory from its own seed: the same bytes alone, in any company, in any process."""

import hashlib
import math
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml

from chimera.data.checksums import read_entries
from chimera.data.settings import Choice, Distribution, Forcing, read_data
from chimera.data.sources import generation
from chimera.data.sources.generation import (
    Regime,
    draw_trajectory,
    generate,
    simulate_trajectories,
)
from chimera.data.sources.simulation import simulate_dataset
from chimera.data.verification import agree
from chimera.fields.fourier import resample, velocity
from chimera.interface.errors import InputError
from chimera.planning.composition import compose
from chimera.solver.forcing import KolmogorovForcing
from chimera.solver.initial import random_vorticity
from chimera.solver.navier_stokes import simulate

ROOT = Path(__file__).parents[3]

SMALL = Regime(
    viscosity=0.02,
    drag=0.1,
    forcing=Forcing(amplitude=1.0, wavenumber=2, angle=0.0),
    initial_peak=2,
    warm_up=0.3,
    max_speed=5.0,
    domain_extent=2 * math.pi,
    simulated_points=24,
    warm_up_points=24,
    num_points=16,
    num_frames=4,
    frame_interval=0.25,
)
# sha256 of the vorticity at the smoke scale, as it was frozen.
DIGESTS_OF_VERSION_1 = {
    "cfd2d_ood_amplitude_v1": "ab8c5df5a8c680444f12217a01bdeaf7212e0d866d6f16614c82bca454622e9c",
    "cfd2d_ood_decay_v1": "f0abfee962ee95d95b640a489ca8a3fa693ba7a6175b73ba5c8d64aa81df0da3",
}
DRAWN = {
    "viscosity": Distribution(log_uniform=(0.02, 0.04)),
    "drag": Distribution(choice=(0.1, 0.2)),
    "forcing": Forcing(
        amplitude=Distribution(uniform=(0.5, 1.5)),
        wavenumber=Choice(choice=(2, 3)),
        angle=Choice(choice=(0.0, math.pi / 2)),
    ),
}


def changed(**changes):
    return Regime(**(vars(SMALL) | changes))


def test_parameters_are_drawn_in_order_after_the_field_and_only_from_distributions():
    numbers = Forcing(amplitude=1.0, wavenumber=2, angle=0.0)
    for number in range(3):
        generator = np.random.default_rng(np.random.SeedSequence((1, 2), spawn_key=(number,)))
        field = random_vorticity(generator, 24, 2 * math.pi, 2)
        state = generator.bit_generator.state
        viscosity = math.exp(math.log(0.02) + generator.random() * math.log(2))
        drag = (0.1, 0.2)[generator.integers(2)]
        amplitude = 0.5 + generator.random()
        wavenumber, angle = (2, 3)[generator.integers(2)], (0.0, math.pi / 2)[generator.integers(2)]
        start, drawn = draw_trajectory(changed(**DRAWN), (1, 2), number)
        assert torch.equal(start, field)
        assert (drawn.viscosity, drawn.drag) == (pytest.approx(viscosity, rel=1e-14), drag)
        assert drawn.forcing == KolmogorovForcing(
            pytest.approx(amplitude, rel=1e-14), wavenumber, angle
        )
        generator.bit_generator.state = state
        only_drag = changed(drag=DRAWN["drag"], forcing=numbers)
        start, drawn = draw_trajectory(only_drag, (1, 2), number)
        assert torch.equal(start, field)
        assert drawn.drag == (0.1, 0.2)[generator.integers(2)]
        assert drawn.forcing == KolmogorovForcing(1.0, 2, 0.0)


def test_draws_follow_their_distributions():
    """Means of 400 draws within four standard errors; every bound holds."""
    drawn = [draw_trajectory(changed(**DRAWN), (0,), number)[1] for number in range(400)]
    logs = np.log([one.viscosity for one in drawn]) - math.log(0.02)
    amplitudes = np.array([one.forcing.amplitude for one in drawn])
    assert 0 <= logs.min() < 0.02 < math.log(2) - 0.02 < logs.max() <= math.log(2) + 1e-12
    assert 0.5 <= amplitudes.min() < 0.52 < 1.48 < amplitudes.max() <= 1.5
    for values, mean, deviation in (
        (logs, math.log(2) / 2, math.log(2) / math.sqrt(12)),
        (amplitudes, 1.0, 1 / math.sqrt(12)),
        ([one.forcing.wavenumber for one in drawn], 2.5, 0.5),
        ([one.drag for one in drawn], 0.15, 0.05),
    ):
        assert abs(np.mean(values) - mean) < 4 * deviation / 20


def test_trajectories_of_different_parameters_are_independent_bit_for_bit():
    regime = changed(**DRAWN)
    whole = simulate_trajectories(regime, (1, 2), range(6))
    parameters = {draw_trajectory(regime, (1, 2), number)[1] for number in range(6)}
    assert len(parameters) == 6
    for numbers in ([5], [3, 2], [4, 0, 1]):
        subset = simulate_trajectories(regime, (1, 2), numbers)
        np.testing.assert_array_equal(subset, whole[numbers])


def test_a_drawn_trajectory_is_the_one_of_its_numbers(monkeypatch):
    """Its flow is that of a regime whose parameters are the drawn numbers."""
    regime = changed(**DRAWN)
    _, drawn = draw_trajectory(regime, (1,), 4)
    given = changed(
        viscosity=drawn.viscosity, drag=drawn.drag, forcing=Forcing(**vars(drawn.forcing))
    )
    np.testing.assert_array_equal(
        simulate_trajectories(given, (1,), [4]), simulate_trajectories(regime, (1,), [4])
    )


def test_a_force_of_the_warm_up_ends_at_the_first_frame():
    """The first frame is that of the forced flow; then energy decays as without a force."""
    force = {"amplitude": 1.0, "wavenumber": 2, "angle": 0.0}
    forced = changed(warm_up=2.0, forcing=Forcing(**force))
    decaying = changed(warm_up=2.0, forcing=Forcing(**force, warm_up_only=True))
    kept, ended = (simulate_trajectories(regime, (0,), range(2)) for regime in (forced, decaying))
    np.testing.assert_array_equal(kept[:, 0], ended[:, 0])
    unforced = simulate(
        resample(torch.from_numpy(kept[:, 0]).double(), 24),
        viscosity=0.02,
        drag=0.1,
        domain_extent=2 * math.pi,
        time_step=0.25 / forced.steps_per_frame,
        num_steps=forced.steps_per_frame,
        save_every=forced.steps_per_frame,
    )
    np.testing.assert_allclose(ended[:, 1], resample(unforced[:, 1], 16), atol=1e-5)
    assert np.abs(kept[:, 1] - ended[:, 1]).max() > 0.1
    _, drawn = draw_trajectory(decaying, (0,), 0)
    assert (drawn.warm_up_forcing, drawn.forcing) == (KolmogorovForcing(1.0, 2), None)


def test_version_1_is_the_flow_that_was_frozen(tmp_path):
    """Datasets of numbers alone keep their recipes and, on x86-64 with AVX2, every bit."""
    settings = compose(["scale=smoke", "data=generated_v1"], ROOT / "conf")
    data = read_data(yaml.safe_load(settings)["data"])
    frozen = read_entries(ROOT / "data/manifests/v1/smoke/OOD_MANIFEST.yaml")
    for name in ("cfd2d_ood_amplitude_v1", "cfd2d_ood_decay_v1"):
        made = simulate_dataset(name, data, tmp_path / name)
        ((path, fingerprint),) = made.files
        assert agree(fingerprint, frozen[f"data/{name}/{path}"]["fingerprint"])
        with h5py.File(tmp_path / name / path) as file:
            digest = hashlib.sha256(file["t0_fields/vorticity"][...].tobytes()).hexdigest()
            assert "forcing_amplitude" in file["scalars"]
        if torch.backends.cpu.get_cpu_capability().startswith("AVX"):
            assert digest == DIGESTS_OF_VERSION_1[name]


def test_a_coarser_warm_up_is_the_same_flow():
    """As long as chaos has not parted them: every stored mode is resolved on both grids."""
    fine = changed(simulated_points=64, warm_up_points=64, num_points=32, warm_up=1.0)
    coarse = changed(simulated_points=64, warm_up_points=48, num_points=32, warm_up=1.0)
    assert [part.num_points for part in fine.warm_up_parts] == [64]
    parts = coarse.warm_up_parts
    assert [part.num_points for part in parts] == [48, 64]
    assert [part.num_steps * part.time_step for part in parts] == pytest.approx([0.75, 0.25])
    assert parts[0].time_step > parts[1].time_step
    expected = simulate_trajectories(fine, (0,), range(4))
    difference = simulate_trajectories(coarse, (0,), range(4)) - expected
    assert np.linalg.norm(difference) < 1e-3 * np.linalg.norm(expected)


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
        forcing=Forcing(amplitude=1.0, wavenumber=4, angle=0.0),
        initial_peak=4,
        warm_up=2.0,
        max_speed=6.0,
        simulated_points=128,
        warm_up_points=128,
        num_points=128,
        num_frames=2,
    )
    start = torch.from_numpy(simulate_trajectories(regime, (0,), [0, 1])).double()[:, 0]
    physics = {
        "viscosity": 0.01,
        "drag": 0.1,
        "forcing": KolmogorovForcing(1.0, 4),
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
