"""Errors of a forecaster per trajectory, one frame ahead and over a rollout.

The first P frames of a trajectory are given: all forecasters are judged by the frames after them.

B batch, n trajectories, T time, C fields, P past frames, H, W space.
"""

from collections.abc import Iterator, Sequence

import torch
from msgspec.structs import replace
from torch import Tensor

from chimera.evaluation import forecasters
from chimera.evaluation.forecasters import Physics, Stepper
from chimera.evaluation.settings import EvaluateSettings
from chimera.fields.metrics import band_rmse, correlation, nrmse, valid_time, vrmse
from chimera.interface.errors import InputError
from chimera.models.forecasting.checkpoint import Trained
from chimera.models.forecasting.stepping import follow, states

# Cap that keeps the mean over a diverged rollout finite.
MAX_ROLLOUT_NRMSE = 10.0
KEPT = 1 << 23  # bytes of the rollouts of one forecaster on one dataset that are kept


def one_step_errors(
    forecaster: Stepper, trajectories: Tensor, batch_size: int, past_frames: int = 1
) -> dict[str, Tensor]:
    """Return nrmse, vrmse, rmse_low, rmse_mid and rmse_high of one-step forecasts, each (n,).

    They are means over frames and channels of physical frames (n, T, C, H, W).
    """
    n, T, C = trajectories.shape[:3]
    given = states(trajectories[:, :-1], past_frames, C)
    inputs = given.flatten(0, 1).split(batch_size)  # (n (T - P), P C, H, W)
    targets = trajectories[:, past_frames:].flatten(0, 1).split(batch_size)
    numbers = torch.arange(n, device=trajectories.device).repeat_interleave(T - past_frames)
    rows: list[Tensor] = []
    for state, target, of in zip(inputs, targets, numbers.split(batch_size), strict=True):
        prediction = forecaster(state, of)[:, :C]
        bands = band_rmse(prediction, target)
        columns = (nrmse(prediction, target), vrmse(prediction, target), *bands)
        rows.append(torch.stack([column.mean(dim=1) for column in columns]))  # mean over C
    table = torch.cat(rows, dim=1).unflatten(1, (len(trajectories), -1)).mean(dim=2)
    return dict(zip(("nrmse", "vrmse", "rmse_low", "rmse_mid", "rmse_high"), table, strict=True))


def rollout_errors(
    forecaster: Stepper, trajectories: Tensor, settings: EvaluateSettings, past_frames: int = 1
) -> tuple[dict[str, Tensor], Tensor]:
    """Return the errors of autoregressive forecasts from each trajectory's first P frames.

    They are `rollout_nrmse` and `valid_time` (n,), and `frame_nrmse` and `frame_correlation`
    (horizon,); with them come the forecasts (n, horizon, C, H, W).
    """
    P, C, horizon = past_frames, trajectories.shape[2], settings.horizon
    if trajectories.shape[1] < P + horizon:
        raise InputError(
            f"evaluate.horizon is {horizon}, expected at most {trajectories.shape[1] - P}, the "
            "frames of a trajectory that follow the first data.past_frames"
        )
    state, predictions = states(trajectories[:, :P], P, C)[:, 0], []
    numbers = torch.arange(len(state), device=state.device).split(settings.batch_size)
    for _ in range(horizon):
        parts = zip(state.split(settings.batch_size), numbers, strict=True)
        predictions.append(torch.cat([forecaster(*part)[:, :C] for part in parts]))
        state = follow(state, predictions[-1], P)
    prediction = torch.stack(predictions, dim=2)  # (n, C, T, H, W)
    target = trajectories[:, P : P + horizon].transpose(1, 2)
    error = nrmse(prediction, target).mean(dim=1)  # (n, T)
    error = error.nan_to_num(torch.inf).clamp(max=MAX_ROLLOUT_NRMSE)
    agreement = correlation(prediction, target).nan_to_num(0.0).mean(dim=1)
    return {
        "rollout_nrmse": error.mean(dim=1),
        "valid_time": valid_time(prediction, target, settings.valid_correlation).mean(dim=1),
        "frame_nrmse": error.mean(dim=0),
        "frame_correlation": agreement.mean(dim=0),
    }, prediction.transpose(1, 2)


def limit_horizon(
    settings: EvaluateSettings, num_frames: int, past_frames: int = 1
) -> EvaluateSettings:
    """Return the settings with a horizon of at most num_frames - past_frames."""
    horizon = min(settings.horizon, num_frames - past_frames)
    return replace(settings, horizon=horizon, field_frame=min(settings.field_frame, horizon))


def join_evaluations(parts: Sequence[dict[str, list[float]]]) -> dict[str, list[float]]:
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
    forecaster: Stepper, trajectories: Tensor, settings: EvaluateSettings, past_frames: int = 1
) -> tuple[dict[str, list[float]], Tensor]:
    """Return all errors of one forecaster on one dataset, and the forecasts of `rollout_errors`."""
    one_step = one_step_errors(forecaster, trajectories, settings.batch_size, past_frames)
    rollout, forecasts = rollout_errors(forecaster, trajectories, settings, past_frames)
    return {n: values.double().tolist() for n, values in (one_step | rollout).items()}, forecasts


def evaluations(
    trained: Trained, frames: Tensor, settings: EvaluateSettings, physics: Physics | None
) -> Iterator[tuple[str, dict[str, list[float]], Tensor]]:
    """Yield (name, errors, forecasts) of a network, persistence and, if known, of the physics.

    The frames (n, T, C + K, H, W) are physical, with the conditioning last.
    """
    C, P = len(trained.fields), trained.past_frames
    steppers = {"model": forecasters.network_forecaster(trained, frames[:, 0, C:])}
    steppers["persistence"] = forecasters.persistence
    if physics is not None:
        steppers |= forecasters.classical(physics, frames.shape[-1])
    for name, forecaster in steppers.items():
        yield name, *evaluate(forecaster, frames[:, :, :C], settings, P)


def kept_numbers(rollouts: Tensor) -> Tensor:
    """Return which of n rollouts are kept to be watched: at least one, evenly spaced."""
    n = len(rollouts)
    count = max(min(n, KEPT // (2 * rollouts[0].numel())), 1)
    return torch.arange(count) * n // count


def keep(rollouts: Tensor, trained: Trained) -> Tensor:
    """Return those of physical rollouts (n, T, C, H, W), normalised, in half precision.

    So three digits of a field of any unit are kept; what exceeds 65504 std becomes infinite.
    """
    chosen, C = rollouts[kept_numbers(rollouts).to(rollouts.device)], len(trained.fields)
    return ((chosen - trained.mean[:C]) / trained.std[:C]).half()
