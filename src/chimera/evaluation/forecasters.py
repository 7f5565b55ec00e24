"""Forecasters: maps from physical frames (B, C, H, W) to the frames one interval later."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from chimera.fields.fourier import integer_wavenumbers
from chimera.models.forecasting import stepping
from chimera.solver import KolmogorovForcing

Forecaster = Callable[[Tensor], Tensor]


def network_forecaster(network: nn.Module, mean: Tensor, std: Tensor) -> Forecaster:
    """Return the forecaster of a network of normalised frames; mean and std are (C, 1, 1)."""

    @torch.no_grad()
    def forecaster(frames: Tensor) -> Tensor:
        return stepping.step(network, (frames - mean) / std) * std + mean

    return forecaster


def persistence(frames: Tensor) -> Tensor:
    """Forecast no change."""
    return frames


def linear_diffusion(
    num_points: int,
    *,
    viscosity: float,
    drag: float,
    forcing: KolmogorovForcing | None,
    domain_extent: float,
    interval: float,
) -> Forecaster:
    """Return the exact forecast of the flow without advection, d omega / dt = lambda omega + F.

    omega_hat(t + T) = exp(lambda T) omega_hat(t) + (exp(lambda T) - 1) / lambda F_hat with
    lambda = -nu k^2 - mu. A network must be better than this baseline.
    """
    source = torch.zeros((num_points, num_points), dtype=torch.float64)
    if forcing is not None:
        source = forcing.vorticity_source(num_points, domain_extent)
    source_hat = torch.fft.rfft2(source)
    m_x, m_y = integer_wavenumbers(num_points, source)
    square = (m_x.square() + m_y.square()) * (2 * math.pi / domain_extent) ** 2
    growth = -viscosity * square - drag
    decay = torch.exp(growth * interval)
    nonzero = torch.where(growth == 0, 1.0, growth)
    response = torch.where(growth == 0, interval, torch.expm1(growth * interval) / nonzero)
    forced_hat = response * source_hat

    def forecaster(frames: Tensor) -> Tensor:
        device = frames.device
        frames_hat = decay.to(device) * torch.fft.rfft2(frames.double()) + forced_hat.to(device)
        return torch.fft.irfft2(frames_hat, s=frames.shape[-2:]).to(frames.dtype)

    return forecaster


def kolmogorov_diffusion(
    scalars: Mapping[str, float], num_points: int, domain_extent: float, interval: float
) -> Forecaster:
    """Return `linear_diffusion` with the scalars of a file that the stage `generate` wrote."""
    wavenumber, angle = int(scalars["forcing_wavenumber"]), scalars["forcing_angle"]
    return linear_diffusion(
        num_points,
        viscosity=scalars["viscosity"],
        drag=scalars["drag"],
        forcing=KolmogorovForcing(scalars["forcing"], wavenumber, angle),
        domain_extent=domain_extent,
        interval=interval,
    )
