"""The solver against closed forms, conservation laws, its order and an independent integration."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from chimera.fields.fourier import derivative, velocity
from chimera.interface.errors import InputError
from chimera.solver.compiled import advection as compiled_advection
from chimera.solver.forcing import KolmogorovForcing
from chimera.solver.initial import random_vorticity
from chimera.solver.navier_stokes import simulate
from chimera.solver.spectral_grid import SpectralGrid
from chimera.solver.stability import MAX_CFL

BOX = 2 * math.pi


@pytest.fixture(autouse=True, params=["compiled", "torch"])
def engine(request, monkeypatch):
    """Every test holds for both engines of the advection."""
    if request.param == "torch":
        monkeypatch.setattr(compiled_advection, "covers", lambda *_: False)


def grid(num_points, extent):
    x = torch.arange(num_points, dtype=torch.float64) * (extent / num_points)
    return x[:, None], x[None, :]


def random_fields(count, num_points, extent=BOX, seed=0, peak=3):
    generator = np.random.default_rng(seed)
    return torch.stack(
        [random_vorticity(generator, num_points, extent, peak) for _ in range(count)]
    )


def relative(result, expected):
    return float((result - expected).norm() / expected.norm())


@pytest.mark.parametrize("extent", [BOX, 3.0])
@pytest.mark.parametrize(("m_x", "m_y"), [(1, 1), (2, 3), (5, 0)])
def test_single_mode_decays_exactly(extent, m_x, m_y):
    """A product of cosines advects nothing: it decays at the rate nu k^2 + mu."""
    x, y = grid(32, extent)
    k_x, k_y = 2 * math.pi * m_x / extent, 2 * math.pi * m_y / extent
    start = (torch.cos(k_x * x) * torch.cos(k_y * y))[None]
    nu, mu, time = 0.02, 0.3, 1.5
    frames = simulate(
        start, viscosity=nu, drag=mu, domain_extent=extent, time_step=0.01, num_steps=150
    )
    expected = start * math.exp(-(nu * (k_x**2 + k_y**2) + mu) * time)
    assert relative(frames[:, -1], expected) < 1e-12


def test_laminar_kolmogorov_flow_is_a_fixed_point():
    """omega = curl F / (nu k^2 + mu) balances the force; at 3-4-5 angles the pattern is oblique."""
    for extent in (BOX, 5.0):
        for wavenumber, angle in ((4, 0.0), (4, math.pi / 2), (5, math.atan2(3, 4))):
            forcing = KolmogorovForcing(0.7, wavenumber, angle)
            k = 2 * math.pi * wavenumber / extent
            laminar = forcing.vorticity_source(48, extent)[None] / (0.05 * k**2 + 0.1)
            frames = simulate(
                laminar,
                viscosity=0.05,
                drag=0.1,
                forcing=forcing,
                domain_extent=extent,
                time_step=0.01,
                num_steps=100,
                save_every=100,
            )
            assert relative(frames[:, -1], laminar) < 1e-12


def test_every_trajectory_of_a_batch_has_its_own_laminar_flow():
    """omega = curl F / (nu k^2 + mu) for each, and rest without a force."""
    forces = [
        KolmogorovForcing(0.7, 3),
        None,
        KolmogorovForcing(1.4, 4, math.pi / 2),
        KolmogorovForcing(1.0, 5, math.atan2(3, 4)),
        KolmogorovForcing(0.5, 7),
    ]
    nu = torch.tensor([0.04, 0.05, 0.06, 0.05, 0.08], dtype=torch.float64)
    mu = torch.tensor([0.1, 0.2, 0.3, 0.1, 0.2], dtype=torch.float64)
    laminar = torch.zeros(5, 48, 48, dtype=torch.float64)
    for i, force in enumerate(forces):
        if force:
            rate = nu[i] * force.wavenumber**2 + mu[i]
            laminar[i] = force.vorticity_source(48, BOX) / rate
    settings = {"domain_extent": BOX, "time_step": 0.01, "num_steps": 100, "save_every": 100}
    frames = simulate(laminar, viscosity=nu, drag=mu, forcing=forces, **settings)
    for i, force in enumerate(forces):
        if force:
            assert relative(frames[i, -1], laminar[i]) < 1e-12
    assert float(frames[1].abs().max()) == 0.0


def test_force_points_along_x_and_varies_along_y():
    """From rest, the first instant's velocity is t A sin(k y) along x and nothing along y."""
    _, y = grid(32, BOX)
    time = 1e-4
    frames = simulate(
        torch.zeros(1, 32, 32, dtype=torch.float64),
        viscosity=0.0,
        domain_extent=BOX,
        time_step=time,
        num_steps=1,
        forcing=KolmogorovForcing(0.5, 4),
    )
    u, v = velocity(frames[0, -1], BOX).unbind(-1)
    torch.testing.assert_close(u, (time * 0.5 * torch.sin(4 * y)).expand(32, 32))
    assert float(v.abs().max()) < 1e-15


def test_observed_order_is_four():
    start = random_fields(2, 48)
    settings = {
        "viscosity": 0.01,
        "drag": 0.1,
        "domain_extent": BOX,
        "forcing": KolmogorovForcing(1.0, 4),
    }

    def final(steps):
        return simulate(
            start, time_step=0.4 / steps, num_steps=steps, save_every=steps, **settings
        )[:, -1]

    reference = final(640)
    errors = [relative(final(steps), reference) for steps in (20, 40, 80)]
    orders = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert min(orders) >= 3.75, (errors, orders)


def test_decaying_flow_loses_energy_as_its_enstrophy_says():
    """dE/dt = -2 nu Z with E = <|u|^2> / 2 and Z = <omega^2> / 2, by a sixth-order difference."""
    nu, step = 0.01, 0.005
    frames = simulate(
        random_fields(2, 64), viscosity=nu, domain_extent=BOX, time_step=step, num_steps=6
    )
    energy = velocity(frames, BOX).square().sum(-1).mean((-2, -1)) / 2  # (B, 7)
    enstrophy = frames[:, 3].square().mean((-2, -1)) / 2
    weights = torch.tensor([-1, 9, -45, 0, 45, -9, 1], dtype=torch.float64) / (60 * step)
    rate = energy @ weights
    torch.testing.assert_close(rate, -2 * nu * enstrophy, rtol=1e-8, atol=0.0)


def test_inviscid_flow_conserves_energy_and_enstrophy():
    frames = simulate(
        random_fields(1, 48), viscosity=0.0, domain_extent=BOX, time_step=0.005, num_steps=40
    )
    for quantity in (frames, velocity(frames, BOX).flatten(-2)):
        square = quantity.square().mean((-2, -1))[0]
        assert float((square / square[0] - 1).abs().max()) < 1e-8


def test_translation_and_rotation_commute_with_the_flow():
    """Turning by 90 degrees maps (x, y) to (-y, x) and keeps the vorticity, a pseudoscalar."""
    start = random_fields(1, 48)
    run = {"viscosity": 0.01, "domain_extent": BOX, "time_step": 0.01, "num_steps": 30}

    def turned(fields):
        return torch.roll(torch.rot90(fields, 1, (-2, -1)), 1, -2)

    plain = simulate(start, **run)[:, -1]
    moved = simulate(torch.roll(start, (5, -7), (-2, -1)), **run)[:, -1]
    assert relative(moved, torch.roll(plain, (5, -7), (-2, -1))) < 1e-12
    assert relative(simulate(turned(start), **run)[:, -1], turned(plain)) < 1e-12


def test_agrees_with_an_independent_integration():
    """DOP853 on the advective form, u . grad omega, written with numpy alone."""
    N, nu, mu, amplitude, k = 24, 0.02, 0.1, 0.8, 2
    m = np.fft.fftfreq(N, 1 / N)
    m_x, m_y = m[:, None], m[None, :]
    square = m_x**2 + m_y**2
    inverse = np.divide(1.0, square, where=square > 0, out=np.zeros_like(square))
    kept = (3 * np.abs(m_x) < N) & (3 * np.abs(m_y) < N)
    y = np.arange(N) * (BOX / N)
    force_hat = np.fft.fft2(np.tile(-amplitude * k * np.cos(k * y), (N, 1)))

    def real(modes):
        return np.fft.ifft2(modes).real

    def tendency(_, flat):
        w_hat = np.fft.fft2(flat.reshape(N, N)) * kept
        u, v = real(1j * m_y * inverse * w_hat), real(-1j * m_x * inverse * w_hat)
        advection = u * real(1j * m_x * w_hat) + v * real(1j * m_y * w_hat)
        rate = -np.fft.fft2(advection) * kept - (nu * square + mu) * w_hat + force_hat
        return real(rate).ravel()

    start = random_fields(1, N, peak=2)
    start_hat = np.fft.fft2(start[0].numpy()) * kept
    truth = solve_ivp(
        tendency, (0, 1), real(start_hat).ravel(), method="DOP853", rtol=1e-10, atol=1e-10
    ).y[:, -1]
    frames = simulate(
        start,
        viscosity=nu,
        drag=mu,
        forcing=KolmogorovForcing(amplitude, k),
        domain_extent=BOX,
        time_step=0.005,
        num_steps=200,
        save_every=200,
    )
    assert relative(frames[0, -1], torch.from_numpy(truth.reshape(N, N))) < 1e-8


def test_bits_do_not_depend_on_the_batch():
    start = random_fields(7, 32, peak=2)
    run = {"viscosity": 0.01, "domain_extent": BOX, "time_step": 0.01, "num_steps": 10}
    together = simulate(start, **run)
    for first, last in ((0, 1), (1, 2), (3, 7)):
        assert torch.equal(simulate(start[first:last], **run), together[first:last])


def test_bits_do_not_depend_on_the_parameters_of_other_trajectories():
    start = random_fields(4, 32, peak=2)
    nu, mu = torch.tensor([0.01, 0.02, 0.03, 0.04]), torch.tensor([0.0, 0.1, 0.2, 0.3])
    forces = [KolmogorovForcing(1.0, 2), None, KolmogorovForcing(0.5, 3), KolmogorovForcing(2.0, 4)]
    run = {"domain_extent": BOX, "time_step": 0.01, "num_steps": 10}
    together = simulate(start, viscosity=nu, drag=mu, forcing=forces, **run)
    for i, force in enumerate(forces):
        part = slice(i, i + 1)
        one = {"viscosity": float(nu[i]), "drag": float(mu[i]), "forcing": force}
        assert torch.equal(simulate(start[part], **one, **run), together[part])
    pair = simulate(start[1:3], viscosity=nu[1:3], drag=mu[1:3], forcing=forces[1:3], **run)
    assert torch.equal(pair, together[1:3])
    same = simulate(start, viscosity=nu, drag=mu, forcing=[forces[0]] * 4, **run)
    assert torch.equal(same, simulate(start, viscosity=nu, drag=mu, forcing=forces[0], **run))


def test_viscosity_and_drag_of_each_trajectory():
    start = random_fields(3, 32, peak=2)
    viscosity = torch.tensor([0.01, 0.02, 0.05], dtype=torch.float64)
    drag = torch.tensor([0.0, 0.2, 0.1], dtype=torch.float64)
    run = {"domain_extent": BOX, "time_step": 0.01, "num_steps": 20}
    together = simulate(start, viscosity=viscosity, drag=drag, **run)
    for number in range(3):
        alone = simulate(
            start[number : number + 1],
            viscosity=float(viscosity[number]),
            drag=float(drag[number]),
            **run,
        )
        assert relative(together[number], alone[0]) < 1e-12


def test_single_precision_stays_single_and_close():
    start = random_fields(2, 32, peak=2)
    run = {"viscosity": 0.01, "domain_extent": BOX, "time_step": 0.01, "num_steps": 20}
    single = simulate(start.float(), **run)
    assert single.dtype == torch.float32
    assert relative(single.double(), simulate(start, **run)) < 1e-5


def test_frames_are_saved_where_asked():
    start = random_fields(1, 32, peak=2)
    run = {"viscosity": 0.01, "domain_extent": BOX, "time_step": 0.01, "num_steps": 11}
    every = simulate(start, **run)
    assert every.shape == (1, 12, 32, 32)
    assert torch.equal(simulate(start, save_every=3, **run), every[:, ::3])


def test_unstable_step_names_trajectory_time_and_remedy():
    start = random_fields(3, 32, peak=2)
    start[2] *= 50
    with pytest.raises(InputError, match=r"trajectory 2 .*CFL number .* at time 0,") as caught:
        simulate(start, viscosity=0.01, domain_extent=BOX, time_step=0.05, num_steps=100)
    allowed = float(str(caught.value).rsplit(maxsplit=1)[-1])
    speed = float(velocity(start[2], BOX).abs().sum(-1).max())
    assert allowed == pytest.approx(MAX_CFL * BOX / 32 / speed, rel=1e-3)


def test_blow_up_never_reaches_the_result():
    start = random_fields(1, 32, peak=2) * 1e200
    with pytest.raises(InputError, match=r"trajectory 0 (blew up|has CFL)"):
        simulate(start, viscosity=0.0, domain_extent=BOX, time_step=0.5, num_steps=100)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"vorticity": torch.zeros(4, 4)}, r"shape \(4, 4\)"),
        ({"vorticity": torch.zeros(1, 8, 8, dtype=torch.int64)}, "int64"),
        ({"vorticity": torch.full((2, 8, 8), math.nan)}, "trajectory 0 is not finite"),
        ({"time_step": 0.0}, "time_step is 0.0"),
        ({"domain_extent": -1.0}, "domain_extent is -1.0"),
        ({"domain_extent": math.inf}, "domain_extent is inf"),
        ({"vorticity": np.zeros((1, 8, 8))}, "vorticity is ndarray, expected torch"),
        ({"vorticity": torch.zeros(1, 8, 8, requires_grad=True)}, "requires a gradient, expected"),
        ({"num_steps": -1}, "num_steps is -1"),
        ({"num_steps": 3.0}, "num_steps is 3.0, expected a whole number of at least 0"),
        ({"save_every": 1.5}, "save_every is 1.5, expected a whole number of at least 1"),
        ({"save_every": 0}, "save_every is 0, expected a whole number of at least 1"),
        ({"viscosity": -0.1}, "viscosity is -0.1"),
        ({"viscosity": 0.1 + 0.2j}, r"viscosity is \(0.1\+0.2j\), expected 0 or more"),
        ({"drag": torch.tensor(0.1j)}, "drag is .*j.*, expected 0 or more"),
        ({"drag": torch.zeros(2, requires_grad=True)}, "requires a gradient"),
        ({"drag": torch.zeros(5)}, r"drag has shape \(5,\)"),
        ({"forcing": KolmogorovForcing(1.0, 3)}, "forcing.wavenumber is 3"),
        ({"forcing": KolmogorovForcing(1.0, -3)}, "forcing.wavenumber is -3"),
        ({"forcing": [None, KolmogorovForcing(1.0, 3)]}, "forcing.wavenumber is 3"),
        ({"forcing": [None] * 3}, "forcing has 3 entries, expected 2, one a trajectory"),
        ({"forcing": KolmogorovForcing(1.0, 2, 0.3)}, "forcing.angle is 0.3"),
    ],
)
def test_bad_arguments_are_one_sentence(change, words):
    arguments = {
        "vorticity": torch.zeros(2, 8, 8, dtype=torch.float64),
        "viscosity": 0.1,
        "domain_extent": BOX,
        "time_step": 0.1,
        "num_steps": 1,
    }
    arguments |= change
    with pytest.raises(InputError, match=words):
        simulate(arguments.pop("vorticity"), **arguments)


def test_random_fields_peak_where_asked_on_any_grid():
    coarse = random_vorticity(np.random.default_rng(1), 32, 3.0, 4)
    fine = random_vorticity(np.random.default_rng(1), 64, 3.0, 4)
    torch.testing.assert_close(fine[::2, ::2], coarse)
    assert float(velocity(fine, 3.0).square().sum(-1).mean()) == pytest.approx(1.0)
    energy = np.zeros(12)
    for seed in range(40):
        field = random_vorticity(np.random.default_rng(seed), 64, BOX, 4)
        modes = torch.fft.fft2(velocity(field, BOX), dim=(0, 1)).abs().square().sum(-1)
        m = torch.fft.fftfreq(64, 1 / 64)
        shell = torch.hypot(m[:, None], m[None, :]).round().long()
        energy += [float(modes[shell == k].sum()) for k in range(12)]
    assert energy.argmax() == 4


def test_random_fields_have_the_spectrum_stated():
    """Modes of vorticity have a mean square ~ m^5 exp(-2 (m / m_0)^2): 2 pi m of them make a shell.

    (1, 0) and (3, 0) with their turned and mirrored ones, four values a field, m_0 = 2.
    """
    power = np.zeros(4)
    for seed in range(600):
        field = random_vorticity(np.random.default_rng(seed), 16, BOX, 2)
        modes = torch.fft.fft2(field).abs().square()
        power += [float(modes[0, m] + modes[m, 0]) for m in range(4)]
    expected = (3 / 1) ** 5 * math.exp(-2 * (9 - 1) / 4)
    assert power[0] == pytest.approx(0.0, abs=1e-12 * power[1])
    # Each is a mean of 1,200 exponential values: 3% each, 4% of the ratio, three times that.
    assert power[3] / power[1] == pytest.approx(expected, rel=0.13)


@pytest.mark.parametrize("num_points", range(4, 40))
def test_every_mode_is_kept_that_dealiasing_allows(num_points):
    kept = max(m for m in range(num_points) if 3 * m < num_points)
    assert SpectralGrid(num_points).highest == kept


def test_the_longest_step_is_where_runge_kutta_stops_being_stable():
    """|R(i y)| = 1 for R(z) = 1 + z + z^2/2 + z^3/6 + z^4/24 at y = h |u| 2 pi N / 3 L."""

    def amplification(y):
        return abs(sum((1j * y) ** n / math.factorial(n) for n in range(5)))

    y = MAX_CFL * 2 * math.pi / 3
    assert amplification(y) == pytest.approx(1.0, abs=1e-12)
    assert amplification(0.99 * y) < 1 < amplification(1.01 * y)


def test_a_flow_that_grows_too_fast_is_named_at_its_time():
    """A force A along x gives u = A t from rest; one looks at every tenth step and at the last."""
    A, h, N, start = 40.0, 0.01, 16, 3.0
    step = next(n for n in range(10, 200, 10) if A * n * h * h * N / BOX > MAX_CFL)
    assert step > 10
    flows, force = torch.zeros(3, N, N, dtype=torch.float64), KolmogorovForcing(A, 1)
    rest = {"viscosity": 0.0, "domain_extent": BOX, "time_step": h, "forcing": [None, force, force]}
    expected = rf"trajectory 1 has CFL number .* at time {start + step * h:.6g}, "
    with pytest.raises(InputError, match=expected):
        simulate(flows, **rest, num_steps=200, start_time=start)
    simulate(flows, **rest, num_steps=step - 10, start_time=start)


def test_divergence_vanishes_and_curl_returns():
    field = random_fields(1, 48, extent=3.0)[0]
    u, v = velocity(field, 3.0).unbind(-1)
    assert float((derivative(u, 3.0, -2) + derivative(v, 3.0, -1)).abs().max()) < 1e-12
    torch.testing.assert_close(derivative(v, 3.0, -2) - derivative(u, 3.0, -1), field)
