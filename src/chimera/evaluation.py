"""Errors of a forecaster, one frame ahead and over a rollout, for every trajectory.

A forecaster maps physical frames (B, C, H, W) to the frames one interval later: a network, or a
baseline that needs no training. Every number is kept per trajectory, since trajectories are the
blocks that statistics resample.

B batch, n trajectories, T time, C channel, H, W space.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from chimera.field_metrics import band_rmse, correlation, nrmse, valid_time, vrmse
from chimera.fourier import integer_wavenumbers
from chimera.interface.errors import InputError
from chimera.models import forecast
from chimera.solver import KolmogorovForcing

Forecaster = Callable[[Tensor], Tensor]

# A rollout that blows up is as lost as one ten times off; the cap keeps its mean finite.
LARGEST_ROLLOUT_NRMSE = 10.0


@dataclass(frozen=True)
class EvaluateSettings:
    """params.yaml's section `evaluate`; conf/config.yaml says what each one is."""

    horizon: int
    batch_size: int
    valid_correlation: float
    field_frame: int
    device: Literal["auto", "cpu", "cuda"]
    threads: int

    def __post_init__(self) -> None:
        """Refuse values that no evaluation could use."""
        for name in ("horizon", "batch_size", "field_frame", "threads"):
            if getattr(self, name) < 1:
                raise InputError(f"evaluate.{name} is {getattr(self, name)}, expected at least 1")
        if self.field_frame > self.horizon:
            raise InputError(
                f"evaluate.field_frame is {self.field_frame}, expected at most evaluate.horizon "
                f"({self.horizon})"
            )
        if not 0 < self.valid_correlation < 1:
            raise InputError(
                f"evaluate.valid_correlation is {self.valid_correlation}, "
                "expected more than 0 and less than 1"
            )


def network_forecaster(network: nn.Module, mean: Tensor, std: Tensor) -> Forecaster:
    """Return the forecaster of a network of normalised frames; mean and std are (C, 1, 1)."""

    @torch.no_grad()
    def forecaster(frames: Tensor) -> Tensor:
        return forecast.step(network, (frames - mean) / std) * std + mean

    return forecaster


def persistence(frames: Tensor) -> Tensor:
    """Forecast that nothing changes."""
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

        omega_hat(t + T) = exp(lambda T) omega_hat(t) + (exp(lambda T) - 1) / lambda F_hat,
        lambda = -nu k^2 - mu

    It knows the physics but for the term that makes it hard: what a network must beat.
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
        there = frames.device
        frames_hat = decay.to(there) * torch.fft.rfft2(frames.double()) + forced_hat.to(there)
        return torch.fft.irfft2(frames_hat, s=frames.shape[-2:]).to(frames.dtype)

    return forecaster


def kolmogorov_diffusion(
    scalars: Mapping[str, float], num_points: int, domain_extent: float, interval: float
) -> Forecaster:
    """Return the linear forecast by the scalars of a file that the stage `generate` wrote."""
    forcing = KolmogorovForcing(
        scalars["forcing"], int(scalars["forcing_wavenumber"]), scalars["forcing_angle"]
    )
    return linear_diffusion(
        num_points,
        viscosity=scalars["viscosity"],
        drag=scalars["drag"],
        forcing=forcing,
        domain_extent=domain_extent,
        interval=interval,
    )


def one_step_errors(
    forecaster: Forecaster, trajectories: Tensor, batch_size: int
) -> dict[str, Tensor]:
    """Return each metric's mean over a trajectory's one-step forecasts.

    Args:
        forecaster: One interval ahead.
        trajectories: Physical frames (n, T, C, H, W).
        batch_size: Frames forecast at once.

    Returns:
        nrmse, vrmse, rmse_low, rmse_mid, rmse_high, each (n,) and the mean over channels.
    """
    inputs = trajectories[:, :-1].flatten(0, 1).split(batch_size)  # (n (T - 1), C, H, W)
    targets = trajectories[:, 1:].flatten(0, 1).split(batch_size)
    rows: list[Tensor] = []
    for frames, target in zip(inputs, targets, strict=True):
        prediction = forecaster(frames)
        bands = band_rmse(prediction, target)
        columns = (nrmse(prediction, target), vrmse(prediction, target), *bands)
        rows.append(torch.stack([column.mean(dim=1) for column in columns]))  # mean over C
    table = torch.cat(rows, dim=1).unflatten(1, (len(trajectories), -1)).mean(dim=2)
    return dict(zip(("nrmse", "vrmse", "rmse_low", "rmse_mid", "rmse_high"), table, strict=True))


@dataclass(frozen=True)
class RolloutErrors:
    """nrmse and correlation (n, horizon), valid_time (n,) and a field (n, C, H, W) of rollouts."""

    nrmse: Tensor
    correlation: Tensor
    valid_time: Tensor
    field: Tensor


def rollout_errors(
    forecaster: Forecaster, trajectories: Tensor, settings: EvaluateSettings
) -> RolloutErrors:
    """Forecast from each trajectory's first frame, feeding every forecast back.

    Raises:
        InputError: If the trajectories are shorter than the horizon.
    """
    horizon = settings.horizon
    if trajectories.shape[1] <= horizon:
        raise InputError(
            f"evaluate.horizon is {horizon}, expected less than the {trajectories.shape[1]} frames "
            "of a trajectory"
        )
    frames, predictions = trajectories[:, 0], []
    for _ in range(horizon):
        frames = torch.cat([forecaster(batch) for batch in frames.split(settings.batch_size)])
        predictions.append(frames)
    prediction = torch.stack(predictions, dim=2)  # (n, C, T, H, W)
    target = trajectories[:, 1 : 1 + horizon].transpose(1, 2)
    error = nrmse(prediction, target).mean(dim=1)
    return RolloutErrors(
        nrmse=error.nan_to_num(torch.inf).clamp(max=LARGEST_ROLLOUT_NRMSE),
        correlation=correlation(prediction, target).nan_to_num(0.0).mean(dim=1),
        valid_time=valid_time(prediction, target, settings.valid_correlation).mean(dim=1),
        field=predictions[settings.field_frame - 1].nan_to_num(),
    )


def within(settings: EvaluateSettings, num_frames: int) -> EvaluateSettings:
    """Return the settings with a horizon that trajectories of so many frames have."""
    horizon = min(settings.horizon, num_frames - 1)
    return replace(settings, horizon=horizon, field_frame=min(settings.field_frame, horizon))


def joined(parts: Sequence[dict[str, list[float]]]) -> dict[str, list[float]]:
    """Return the evaluation of all trajectories from those of consecutive groups of them."""
    if len(parts) == 1:
        return parts[0]
    sizes = [len(part["nrmse"]) for part in parts]
    result: dict[str, list[float]] = {}
    for name in parts[0]:
        if name.startswith("frame_"):  # a mean over trajectories
            columns = zip(*(part[name] for part in parts), strict=True)
            sums = (sum(s * v for s, v in zip(sizes, column, strict=True)) for column in columns)
            result[name] = [total / sum(sizes) for total in sums]
        else:
            result[name] = [value for part in parts for value in part[name]]
    return result


def evaluate(
    forecaster: Forecaster, trajectories: Tensor, settings: EvaluateSettings
) -> tuple[dict[str, list[float]], Tensor]:
    """Evaluate one forecaster on one dataset.

    Returns:
        collation's METRICS, one value per trajectory; `frame_nrmse` and `frame_correlation`, the
        means over trajectories, one value per frame of the rollout; and the rollout's field (n, C,
        H, W) at settings.field_frame.
    """
    one_step = one_step_errors(forecaster, trajectories, settings.batch_size)
    rollout = rollout_errors(forecaster, trajectories, settings)
    tensors = one_step | {
        "rollout_nrmse": rollout.nrmse.mean(dim=1),
        "valid_time": rollout.valid_time,
        "frame_nrmse": rollout.nrmse.mean(dim=0),
        "frame_correlation": rollout.correlation.mean(dim=0),
    }
    return {name: values.double().tolist() for name, values in tensors.items()}, rollout.field
