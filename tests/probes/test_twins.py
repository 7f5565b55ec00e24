"""Counterfactual twins against closed forms, and a network whose sites carry known factors."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from chimera.interface.errors import InapplicableError
from chimera.models.networks.site import Site
from chimera.probes.common.subject import Subject
from chimera.probes.patching.measure import measure_effects
from chimera.probes.patching.settings import PatchingSettings
from chimera.probes.patching.twins import make_twins
from chimera.solver import KolmogorovForcing, random_vorticity

N, L, T, MU = 32, 2 * math.pi, 0.25, 0.1
MEAN, STD = 0.3, 2.0
CONSTANTS = {"forcing": (0.5, 3.0), "ln viscosity": (-4.0, 0.5)}
FACTORS = ("phase", "wavenumber", "amplitude", "viscosity", "vortex", "band")
VISCOSITY = torch.tensor([0.01, 0.02, 0.05, 0.03], dtype=torch.float64)
FORCING = [KolmogorovForcing(a, k) for a, k in ((0.5, 1), (1.0, 2), (1.5, 3), (2.0, 2))]
SCALARS = {
    "viscosity": VISCOSITY.numpy(),
    "drag": np.full(4, MU),
    "forcing_amplitude": np.array([force.amplitude for force in FORCING]),
    "forcing_wavenumber": np.array([force.wavenumber for force in FORCING]),
    "forcing_angle": np.zeros(4),
}


def subject(network, states, physics=True):
    """Return a subject of one frame repeated for each state (n, N, N), in physical units."""
    source = torch.stack([force.vorticity_source(N, L) for force in FORCING])
    channels = [
        (states - MEAN) / STD,
        (source - 0.5) / 3.0,
        ((VISCOSITY.log() + 4.0) / 0.5)[:, None, None].expand_as(states),
    ]
    frames = torch.stack(channels, dim=1)[:, None].expand(-1, 3, -1, -1, -1).float()
    return Subject(
        network,
        {"ind": frames},
        torch.full((1, 1, 1), MEAN),
        torch.full((1, 1, 1), STD),
        L,
        constants=CONSTANTS,
        physics=(SCALARS, L, T) if physics else None,
    )


def flows():
    rng = np.random.default_rng(0)
    return torch.stack([random_vorticity(rng, N, L, 3) for _ in range(4)])


def own_physics(twins):
    """Return each pair's trajectory, by its viscosity."""
    value = twins.base[:, 2, 0, 0].double() * 0.5 - 4.0
    return (value.exp()[:, None] - VISCOSITY).abs().argmin(dim=1)


def test_another_viscosity_damps_a_shear_flow_by_the_closed_form():
    """A parallel flow has no advection: w(T) = w e^(-lambda T) + F (1 - e^(-lambda T)) / lambda."""
    y = L * torch.arange(N, dtype=torch.float64) / N
    states = torch.cos(2 * y)[None, None, :].expand(4, N, N)
    study = subject(None, states)
    for factor in ("viscosity", "amplitude"):
        twins = make_twins(study, factor, 12, np.random.default_rng(1))
        own = own_physics(twins)
        viscosity = (twins.twin[:, 2, 0, 0].double() * 0.5 - 4.0).exp()
        state = twins.base[:, 0].double() * STD + MEAN

        def after(nu, channel, own=own, state=state):
            """Advance the mode k = 2 of the state and the mode k of the forcing on their own."""
            k = torch.tensor([force.wavenumber for force in FORCING])[own]
            source = channel.double() * 3.0 + 0.5
            decay, forced = ((-(nu * m**2 + MU) * T).exp()[:, None, None] for m in (2, k))
            rate = (nu * k**2 + MU)[:, None, None]
            return state * decay + source * (1 - forced) / rate

        base = after(VISCOSITY[own], twins.base[:, 1])
        expected = (after(viscosity, twins.twin[:, 1]) - base) / STD
        torch.testing.assert_close(twins.change[:, 0], expected, rtol=0, atol=2e-5)
        assert (twins.change.flatten(1).norm(dim=1) > 1e-3).all()  # no twin is its base


@pytest.mark.parametrize("factor", FACTORS)
def test_a_twin_differs_in_its_factor_alone(factor):
    study = subject(None, flows())
    twins = make_twins(study, factor, 8, np.random.default_rng(2))
    differs = [bool((a != b).any()) for a, b in zip(*(x.unbind(1) for x in twins[:2]), strict=True)]
    place = {"viscosity": 2, "vortex": 0, "band": 0}.get(factor, 1)
    assert differs == [channel == place for channel in range(3)]
    base, twin = (x[:, 1].double() * 3.0 + 0.5 for x in twins[:2])
    if factor == "phase":  # the same spectrum, at another place along y
        torch.testing.assert_close(base.norm(dim=(1, 2)), twin.norm(dim=(1, 2)))
        phases = [torch.fft.rfft(field[:, 0]).abs() for field in (base, twin)]
        torch.testing.assert_close(*phases)
        # A shift by 1/4 to 3/4 of a wavelength has cos(2 pi share) <= 0.
        assert ((base * twin).sum((1, 2)) <= 1e-3 * (base * base).sum((1, 2))).all()
    if factor == "amplitude":  # proportional
        ratio = (base * twin).sum((1, 2)) / (base * base).sum((1, 2))
        torch.testing.assert_close(twin, ratio[:, None, None] * base, rtol=0, atol=1e-5)


def test_a_removed_vortex_leaves_the_circulation_and_the_far_field():
    x = torch.arange(N, dtype=torch.float64)
    far = (x[:, None] - 5) ** 2 + (x[None, :] - 20) ** 2
    vortex = 8 * torch.exp(-far / 4)
    study = subject(None, (vortex - vortex.mean())[None].repeat(4, 1, 1))
    twins = make_twins(study, "vortex", 2, np.random.default_rng(0))
    before, after = (x[0, 0].double() * STD + MEAN for x in twins[:2])
    assert float(after.mean()) == pytest.approx(float(before.mean()), abs=1e-5)
    assert float(before[5, 20]) > 7
    assert abs(float(after[5, 20])) < 0.3  # only the uniform circulation is left there
    assert float((after - before)[21, 4].abs()) < 0.3


class Equation(nn.Module):
    """The equation itself, by Runge-Kutta on Fourier modes: each factor has a site of its own.

    Site 1 carries the state, 2 the forcing and 3 the viscosity; 4 holds the forcing too, but the
    output does not depend on it.
    """

    def __init__(self):
        super().__init__()
        self.site1, self.site2, self.site3, self.site4 = Site(), Site(), Site(), Site()
        m = torch.fft.fftfreq(N, 1 / N, dtype=torch.float64)
        self.kx, self.ky = m[:, None], m[None, :]
        self.square = self.kx**2 + self.ky**2
        self.kept = (self.kx.abs() < N / 3) & (self.ky.abs() < N / 3)

    def forward(self, frames):
        frames = frames.double()
        state = self.site1(frames[:, :1]) * STD + MEAN
        force_hat = torch.fft.fft2(self.site2(2 * frames[:, 1:2]) / 2 * 3.0 + 0.5)
        viscosity = (self.site3(frames[:, 2:]) * 0.5 - 4.0).exp()
        decoy = self.site4(frames[:, 1:2])
        safe = torch.where(self.square > 0, self.square, 1.0)

        def tendency(w):
            w_hat = torch.fft.fft2(w)
            u, v, wx, wy = (
                torch.fft.ifft2(f * self.kept).real
                for f in (
                    1j * self.ky * w_hat / safe,
                    -1j * self.kx * w_hat / safe,
                    1j * self.kx * w_hat,
                    1j * self.ky * w_hat,
                )
            )
            advected = torch.fft.fft2(u * wx + v * wy) * self.kept
            linear = -(viscosity * self.square + MU) * w_hat
            return torch.fft.ifft2(linear - advected + force_hat).real

        h, w = T / 12, state
        for _ in range(12):
            a = tendency(w)
            b = tendency(w + h / 2 * a)
            c = tendency(w + h / 2 * b)
            w = w + h / 6 * (a + 2 * b + 2 * c + tendency(w + h * c))
        return (w - state) / STD + 0 * decoy


def test_each_site_carries_the_factor_that_enters_by_it_and_no_other():
    settings = PatchingSettings(pairs=6, factors=FACTORS)
    study = subject(Equation(), flows())
    found = measure_effects(study, settings, np.random.default_rng(0), iter)
    scores = {
        (row["donor"].removeprefix("twin_"), row["site"]): row
        for row in found.rows
        if row["donor"].startswith("twin_") and row["band"] == "all"
    }
    own = {"vortex": "site1", "band": "site1", "viscosity": "site3"}
    for factor in FACTORS:
        for site in ("site1", "site2", "site3", "site4", "output"):
            row = scores[factor, site]
            if site in (own.get(factor, "site2"), "output"):
                assert row["faithfulness"] > 0.95, (factor, site)
                assert row["effect"] == pytest.approx(1.0, abs=0.05), (factor, site)
                assert row["p"] < 0.05
            else:
                assert row["faithfulness"] < 0.05, (factor, site)
                assert row["p"] > 0.5
    assert found.statistics["reported"] == 1.0
    assert found.notes == ()


def test_without_an_equation_twins_are_withheld_and_the_rest_is_given():
    study = subject(Equation(), flows(), physics=False)
    found = measure_effects(study, PatchingSettings(pairs=2), np.random.default_rng(0), iter)
    assert {row["donor"] for row in found.rows} == {"ind"}
    assert found.statistics["withheld_twins"] == 2
    assert found.statistics["reported"] == pytest.approx(1 / 3)
    assert len(found.notes) == 1
    assert "no equation of these flows is known" in found.notes[0]


def test_trajectories_that_share_a_factor_have_no_twins_of_it():
    study = subject(None, flows())
    study = replace(study, physics=(SCALARS | {"viscosity": np.full(4, 0.01)}, L, T))
    with pytest.raises(
        InapplicableError, match=r"withheld: viscosity is 0\.01 in all trajectories"
    ):
        make_twins(study, "viscosity", 2, np.random.default_rng(0))
