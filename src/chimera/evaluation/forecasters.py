"""Forecasters: maps from physical states (B, P C, H, W) to the frames one interval later.

A state has the newest of P frames first; of what a forecaster returns, the first C channels are the
forecast, so that a map of one frame is a forecaster too. It is given the numbers (B,) of the
states' trajectories, by which it knows what is constant in each: a network its conditioning, a
classical method the physics.

B batch, n trajectories, C fields, K conditioning channels, P past frames, H, W space.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from chimera.fields.fourier import integer_wavenumbers, resample, velocity
from chimera.models.forecasting import stepping
from chimera.models.forecasting.checkpoint import Trained
from chimera.solver import MAX_CFL, KolmogorovForcing, simulate

Stepper = Callable[[Tensor, Tensor], Tensor]
SOLVER_GRIDS = (64, 48, 32)  # points a side of the baselines' grids, none finer than the frames


class PhysicalStep(nn.Module):
    """The step from states (B, P C + K, H, W) in physical units to the next fields (B, C, H, W)."""

    mean: Tensor
    std: Tensor

    def __init__(self, trained: Trained) -> None:
        super().__init__()
        self.network, self.num_fields = trained.network, len(trained.fields)
        self.register_buffer("mean", trained.mean)
        self.register_buffer("std", trained.std)

    def forward(self, state: Tensor) -> Tensor:
        """Return the next fields."""
        C = self.num_fields
        following = stepping.step(self.network, (state - self.mean) / self.std)[:, :C]
        return following * self.std[:C] + self.mean[:C]


def network_forecaster(trained: Trained, conditioning: Tensor) -> Stepper:
    """Return the forecaster of a network, from trajectories' physical conditioning (n, K, H, W)."""
    step = PhysicalStep(trained)

    @torch.no_grad()
    def forecaster(frames: Tensor, numbers: Tensor) -> Tensor:
        return step(torch.cat([frames, conditioning[numbers]], dim=1))

    return forecaster


def persistence(frames: Tensor, numbers: Tensor) -> Tensor:
    """Forecast no change."""
    del numbers
    return frames


class Physics(NamedTuple):
    """The equation of each of n trajectories of the solver's flow (chimera.solver)."""

    viscosity: Tensor  # (n,)
    drag: Tensor  # (n,)
    forcing: Sequence[KolmogorovForcing]
    domain_extent: float
    interval: float  # time between two frames


def physics_of(
    scalars: Mapping[str, NDArray[np.float64]], domain_extent: float, interval: float
) -> Physics:
    """Return the physics from the scalars (n,) of files that the stage `generate` wrote."""
    names = ("forcing_amplitude", "forcing_wavenumber", "forcing_angle")
    rows = zip(*(scalars[name] for name in names), strict=True)
    forces = [KolmogorovForcing(float(A), int(k), float(angle)) for A, k, angle in rows]
    viscosity, drag = (torch.from_numpy(scalars[name]) for name in ("viscosity", "drag"))
    return Physics(viscosity, drag, forces, domain_extent, interval)


def linear_diffusion(physics: Physics, num_points: int) -> Stepper:
    """Return the exact forecast of the flow without advection, d omega / dt = lambda omega + F.

    omega_hat(t + T) = exp(lambda T) omega_hat(t) + (exp(lambda T) - 1) / lambda F_hat with
    lambda = -nu k^2 - mu. A network must be better than this baseline.
    """
    L, T = physics.domain_extent, physics.interval
    source = torch.stack([f.vorticity_source(num_points, L) for f in physics.forcing])
    m_x, m_y = integer_wavenumbers(num_points, source)
    square = (m_x.square() + m_y.square()) * (2 * math.pi / L) ** 2
    growth = -physics.viscosity[:, None, None] * square - physics.drag[:, None, None]
    decay = torch.exp(growth * T)  # (n, N, N // 2 + 1)
    nonzero = torch.where(growth == 0, 1.0, growth)
    response = torch.where(growth == 0, T, torch.expm1(growth * T) / nonzero)
    forced_hat = response * torch.fft.rfft2(source)

    def forecaster(frames: Tensor, numbers: Tensor) -> Tensor:
        device, at = frames.device, numbers.cpu()
        kept, added = (part[at].to(device)[:, None] for part in (decay, forced_hat))
        frames_hat = kept * torch.fft.rfft2(frames.double()) + added
        return torch.fft.irfft2(frames_hat, s=frames.shape[-2:]).to(frames.dtype)

    return forecaster


def classical(physics: Physics, num_points: int) -> dict[str, Stepper]:
    """Return the forecasters that know the physics, by name, for frames of num_points^2."""
    grids = [grid for grid in SOLVER_GRIDS if grid <= num_points]
    solvers = {f"solver_{grid}": coarse_solver(physics, grid) for grid in grids}
    return {"linear": linear_diffusion(physics, num_points)} | solvers


def coarse_solver(physics: Physics, num_points: int) -> Stepper:
    """Return the forecast of the project's solver, which knows the physics, on a coarser grid.

    A frame is cut to the modes of a grid of num_points^2, integrated in its precision by 3/4 of the
    longest stable step, and interpolated back. This is what a network has to be better than: the
    same answer for less work (McGreivy & Hakim 2024, "Weak baselines and reporting biases lead to
    overoptimism in machine learning for fluid-related partial differential equations").
    """
    L = physics.domain_extent

    def forecaster(frames: Tensor, numbers: Tensor) -> Tensor:
        vorticity, at = frames[:, 0], numbers.cpu()
        coarse = resample(vorticity.double(), num_points)
        speed = velocity(coarse, L).abs().sum(dim=-1).max()  # largest |u| + |v|
        # A step of 3/4 of the longest stable one leaves room for a flow that grows faster.
        steps = math.ceil(physics.interval * float(speed) * num_points / (0.75 * MAX_CFL * L))
        steps = max(steps, 1)
        frames_later = simulate(
            coarse.to(frames.dtype),
            viscosity=physics.viscosity[at],
            drag=physics.drag[at],
            forcing=[physics.forcing[i] for i in at.tolist()],
            domain_extent=L,
            time_step=physics.interval / steps,
            num_steps=steps,
            save_every=steps,
        )
        return resample(frames_later[:, -1:], frames.shape[-1])

    return forecaster
