"""Counterfactual twins: two flows that the solver makes from one state with one factor changed.

    change = (w'(T) - w'(0)) - (w(T) - w(0))

is the factor's effect on the increment over one frame interval T according to the equation: what a
network does between the two inputs is compared with what is true, not with itself.

    phase                  the forcing, shifted by 1/4 to 3/4 of its wavelength
    wavenumber, amplitude  of the forcing, as in another trajectory
    viscosity              that of another trajectory
    vortex                 the strongest one is removed, by a Gaussian window of radius L / 16
    band                   the modes of the mid band are those of another trajectory

The equation is invariant under shifts: a shifted forcing acts on a state as the forcing does on the
state shifted back. The solver's grid has twice the points a side of the frames.

B pairs, n trajectories, C fields, K conditioning channels, N x N space.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from chimera.evaluation.forecasters import Physics, coarse_solver, physics_of
from chimera.fields.fourier import BAND_EDGES, wavenumber
from chimera.interface.errors import InapplicableError
from chimera.probes.common.effects import draw_evenly
from chimera.probes.common.subject import Subject
from chimera.solver import KolmogorovForcing


class Twins(NamedTuple):
    """Normalised inputs of B pairs (B, C + K, N, N), and the true change (B, C, N, N), float64."""

    base: Tensor
    twin: Tensor
    change: Tensor


def make_twins(subject: Subject, factor: str, num_pairs: int, rng: np.random.Generator) -> Twins:
    """Return twins of IND test frames, every trajectory about equally often.

    It is an InapplicableError if the equation is unknown or all trajectories share the factor.
    """
    if subject.past_frames > 1:
        raise InapplicableError(
            f"counterfactual twins are withheld: data.past_frames is {subject.past_frames}, "
            "expected 1, as the state that the solver changes and goes on from is one frame"
        )
    if subject.physics is None:
        raise InapplicableError(
            "counterfactual twins are withheld: no equation of these flows is known, expected "
            "vorticity that the stage `generate` simulated"
        )
    frames = subject.trajectories["ind"]
    n, N, B = len(frames), frames.shape[-1], num_pairs
    own = draw_evenly(n, B, rng)
    base = frames[own, rng.integers(frames.shape[1], size=B)]
    state = base[:, :1].double() * subject.std + subject.mean
    given = physics_of(*subject.physics)
    nu, drag, forces, L, _ = given
    physics = given._replace(viscosity=nu[own], drag=drag[own], forcing=[forces[i] for i in own])
    changed, state_twin, shift = physics, state, np.zeros((B, 2), dtype=int)
    if factor == "phase":
        shift = _shifts(physics.forcing, N, rng)
    elif factor == "vortex":
        state_twin = _without_vortex(state)
    elif factor == "band":
        others = (own + rng.integers(1, max(n, 2), B)) % n
        donors = frames[others, rng.integers(frames.shape[1], size=B), :1].double()
        state_twin = _with_band(state, donors * subject.std + subject.mean)
    elif factor == "viscosity":
        changed = physics._replace(viscosity=torch.from_numpy(_other(nu.numpy(), own, factor, rng)))
    else:
        values = np.array([getattr(force, factor) for force in forces])
        drawn = zip(physics.forcing, _other(values, own, factor, rng).tolist(), strict=True)
        changed = physics._replace(forcing=[replace(f, **{factor: value}) for f, value in drawn])
    twin = torch.cat([(state_twin - subject.mean).div(subject.std).to(base), base[:, 1:]], dim=1)
    for channel, (name, (mean, std)) in enumerate(subject.constants.items(), start=1):
        if name == "forcing" and factor in ("phase", "wavenumber", "amplitude"):
            source = torch.stack([force.vorticity_source(N, L) for force in changed.forcing])
            twin[:, channel] = _rolled(source, shift).sub(mean).div(std).to(base)
        elif name.removeprefix("ln ") == factor == "viscosity":
            value = changed.viscosity if name == factor else changed.viscosity.log()
            twin[:, channel] = value.sub(mean).div(std).to(base)[:, None, None]
    effect = _increment(changed, state_twin, shift) - _increment(physics, state, 0 * shift)
    return Twins(base, twin, effect / subject.std)


def _increment(physics: Physics, state: Tensor, shift: np.ndarray) -> Tensor:
    """Return w(T) - w(0) (B, 1, N, N) of the flow whose forcing is shifted by cells (B, 2)."""
    solver, start = coarse_solver(physics, 2 * state.shape[-1]), _rolled(state, -shift)
    return _rolled(solver(start, torch.arange(len(state))), shift) - state


def _rolled(fields: Tensor, shift: np.ndarray) -> Tensor:
    pairs = zip(fields, shift.tolist(), strict=True)
    return torch.stack([torch.roll(field, cells, dims=(-2, -1)) for field, cells in pairs])


def _shifts(forcing: Sequence[KolmogorovForcing], N: int, rng: np.random.Generator) -> np.ndarray:
    """Return shifts (B, 2) in cells along the axis in which the forcing varies most."""
    shifts = np.zeros((len(forcing), 2), dtype=int)
    for row, force in zip(shifts, forcing, strict=True):
        x, y = abs(math.sin(force.angle)), abs(math.cos(force.angle))
        wavelength = N / (force.wavenumber * max(x, y))
        row[int(y >= x)] = max(round(rng.uniform(0.25, 0.75) * wavelength), 1)
    return shifts


def _other(values: np.ndarray, own: np.ndarray, name: str, rng: np.random.Generator) -> np.ndarray:
    """Draw for each pair a value that another trajectory has and its own has not, (B,)."""
    if len(np.unique(values)) < 2:
        raise InapplicableError(
            f"counterfactual twins are withheld: {name} is {values[0]:g} in all trajectories, "
            "expected values to exchange"
        )
    return np.array([rng.choice(values[values != values[i]]) for i in own])


def _without_vortex(state: Tensor) -> Tensor:
    """Return fields (B, 1, N, N) without the vortex of the largest |w|, at the same circulation."""
    N = state.shape[-1]
    peak, cells = state.abs().flatten(1).argmax(dim=1), torch.arange(N, device=state.device)
    distances = ((cells - at[:, None] + N // 2) % N - N // 2 for at in (peak // N, peak % N))
    x, y = (torch.exp(-0.5 * (distance.to(state.dtype) / (N / 16)) ** 2) for distance in distances)
    removed = state * (x[:, :, None] * y[:, None, :])[:, None]
    return state - removed + removed.mean(dim=(-2, -1), keepdim=True)


def _with_band(state: Tensor, donors: Tensor) -> Tensor:
    """Return fields (B, 1, N, N) with the mid band of others."""
    difference_hat = torch.fft.fft2(donors - state)
    fraction = wavenumber(difference_hat) / (state.shape[-1] / 2)
    inside = (fraction >= BAND_EDGES[1]) & (fraction < BAND_EDGES[2])
    return state + torch.fft.ifft2(difference_hat * inside).real
