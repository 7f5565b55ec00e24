"""Counterfactual twins: two flows that the solver makes from one state with one factor changed.

    change = (w'(T) - w'(0)) - (w(T) - w(0))

is the effect that the factor has on the increment over one frame interval T according to the
equation: w starts from a frame of a test trajectory and its own physics, the twin w' from the same
with one factor changed. What a network does between the two inputs can so be compared with what is
true, where without an equation it could only be compared with itself.

    phase       the forcing is shifted along its wave vector by 1/4 to 3/4 of its wavelength
    wavenumber  the forcing has the wavenumber of another trajectory
    amplitude   the forcing has the amplitude of another trajectory
    viscosity   that of another trajectory
    vortex      the strongest vortex is removed, by a Gaussian window of radius L / 16
    band        the modes of the mid band (chimera.fields.bands) are those of another trajectory

The flow is invariant under shifts, so that a shifted forcing acts on a state as the forcing does on
the state shifted back. The grid of the solver has twice the points a side of the frames.

B pairs, n trajectories, C fields, K conditioning channels, N x N space.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from chimera.evaluation.forecasters import Physics, coarse_solver
from chimera.fields.bands import BAND_EDGES
from chimera.fields.fourier import wavenumber
from chimera.interface.errors import InapplicableError
from chimera.probes.common.effects import draw_evenly
from chimera.probes.common.subject import Subject
from chimera.solver import KolmogorovForcing


class Twins(NamedTuple):
    """B pairs: a network's inputs (B, C + K, N, N), and the true change (B, C, N, N), float64.

    All are normalised.
    """

    base: Tensor
    twin: Tensor
    change: Tensor


def make_twins(subject: Subject, factor: str, num_pairs: int, rng: np.random.Generator) -> Twins:
    """Return twins of IND test frames, every trajectory about equally often.

    Raises:
        InapplicableError: If the equation of the flow is not known, or the trajectories do not
            differ in the factor.
    """
    if subject.physics is None:
        raise InapplicableError(
            "counterfactual twins are withheld: no equation of these flows is known, expected "
            "vorticity that the stage `generate` simulated"
        )
    frames = subject.trajectories["ind"]
    own = draw_evenly(len(frames), num_pairs, rng)
    base = frames[own, rng.integers(frames.shape[1], size=num_pairs)]
    state = base[:, :1].double() * subject.std + subject.mean
    physics = _of(subject.physics, own)
    changed, state_twin, shift = physics, state, np.zeros((num_pairs, 2), dtype=int)
    if factor == "phase":
        shift = _shifts(physics.forcing, state.shape[-1], rng)
    elif factor == "vortex":
        state_twin = _without_vortex(state)
    elif factor == "band":
        other = (own + rng.integers(1, max(len(frames), 2), num_pairs)) % len(frames)
        donors = frames[other, rng.integers(frames.shape[1], size=num_pairs), :1].double()
        state_twin = _with_band(state, donors * subject.std + subject.mean)
    elif factor == "viscosity":
        values = subject.physics.viscosity.numpy()
        changed = physics._replace(viscosity=torch.from_numpy(_other(values, own, factor, rng)))
    else:
        values = np.array([getattr(force, factor) for force in subject.physics.forcing])
        drawn = _other(values, own, f"forcing_{factor}", rng).tolist()
        forces = zip(physics.forcing, drawn, strict=True)
        changed = physics._replace(forcing=[replace(f, **{factor: v}) for f, v in forces])
    twin = torch.cat([(state_twin - subject.mean).div(subject.std).to(base), base[:, 1:]], dim=1)
    for channel, (name, (mean, std)) in enumerate(subject.constants.items(), start=1):
        if name == "forcing" and factor in ("phase", "wavenumber", "amplitude"):
            N, L = state.shape[-1], physics.domain_extent
            source = torch.stack([f.vorticity_source(N, L) for f in changed.forcing])
            twin[:, channel] = _rolled(source, shift).sub(mean).div(std).to(base)
        elif name.removeprefix("ln ") == factor == "viscosity":
            value = changed.viscosity.log() if name != factor else changed.viscosity
            twin[:, channel] = value.sub(mean).div(std).to(base)[:, None, None]
    effect = _increment(changed, state_twin, shift) - _increment(physics, state, 0 * shift)
    return Twins(base, twin, effect / subject.std)


def _of(physics: Physics, numbers: np.ndarray) -> Physics:
    return physics._replace(
        viscosity=physics.viscosity[numbers],
        drag=physics.drag[numbers],
        forcing=[physics.forcing[i] for i in numbers],
    )


def _increment(physics: Physics, state: Tensor, shift: np.ndarray) -> Tensor:
    """Return w(T) - w(0) (B, 1, N, N) of the flow whose forcing is shifted by cells (B, 2)."""
    start = _rolled(state, -shift)
    solver = coarse_solver(physics, 2 * state.shape[-1])
    return _rolled(solver(start, torch.arange(len(state))), shift) - state


def _rolled(fields: Tensor, shift: np.ndarray) -> Tensor:
    pairs = zip(fields, shift.tolist(), strict=True)
    return torch.stack([torch.roll(field, cells, dims=(-2, -1)) for field, cells in pairs])


def _shifts(
    forcing: Sequence[KolmogorovForcing], num_points: int, rng: np.random.Generator
) -> np.ndarray:
    """Return shifts (B, 2) in cells along the axis in which the forcing varies most."""
    shifts = np.zeros((len(forcing), 2), dtype=int)
    shares = rng.uniform(0.25, 0.75, len(forcing))
    for row, force, share in zip(shifts, forcing, shares, strict=True):
        x, y = abs(math.sin(force.angle)), abs(math.cos(force.angle))
        wavelength = num_points / (force.wavenumber * max(x, y))
        row[int(y >= x)] = max(round(share * wavelength), 1)
    return shifts


def _other(values: np.ndarray, own: np.ndarray, name: str, rng: np.random.Generator) -> Any:
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
    peak = state.abs().flatten(1).argmax(dim=1)
    cells = torch.arange(N, device=state.device)
    windows = []
    for at in (peak // N, peak % N):
        distance = (cells - at[:, None] + N // 2) % N - N // 2
        windows.append(torch.exp(-0.5 * (distance / (N / 16)) ** 2).to(state.dtype))
    removed = state * (windows[0][:, :, None] * windows[1][:, None, :])[:, None]
    return state - removed + removed.mean(dim=(-2, -1), keepdim=True)


def _with_band(state: Tensor, donors: Tensor) -> Tensor:
    """Return fields (B, 1, N, N) with the mid band of others."""
    difference_hat = torch.fft.fft2(donors - state)
    fraction = wavenumber(difference_hat) / (state.shape[-1] / 2)
    inside = (fraction >= BAND_EDGES[1]) & (fraction < BAND_EDGES[2])
    return state + torch.fft.ifft2(difference_hat * inside).real
