"""Errors of a forecaster, one frame ahead and over a rollout, for every trajectory.

A forecaster maps physical frames (B, C, H, W) to the frames one interval later: a network, or a baseline
that needs no training. Every number is kept per trajectory, since trajectories are the blocks
that statistics resample.

B batch, n trajectories, T time, C channel, H, W space.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from chimera import forecast
from chimera.errors import InputError
from chimera.field_metrics import band_rmse, correlation, nrmse, valid_time, vrmse

Forecaster = Callable[[Tensor], Tensor]

# A rollout that blows up is as lost as one ten times off; the cap keeps its mean finite.
LARGEST_ROLLOUT_NRMSE = 10.0

METRICS = ("nrmse", "vrmse", "rmse_low", "rmse_mid", "rmse_high", "rollout_nrmse", "valid_time")


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
    """Errors over a rollout: nrmse and correlation (n, horizon), valid_time (n,), field (n, C, H, W)."""

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
