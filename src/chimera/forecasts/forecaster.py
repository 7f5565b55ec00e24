"""A trained network in physical units: `chimera.load("checkpoints/unet/0").forecast(frames, 20)`.

B batch, T time, C fields, K conditioning channels, P past frames, H, W space.
"""

from collections.abc import Mapping
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chimera.evaluation.forecasters import network_forecaster
from chimera.fields.nrmse import Field
from chimera.interface.errors import InputError
from chimera.models.forecasting.checkpoint import Trained, read_network
from chimera.models.forecasting.registry import reporting
from chimera.models.forecasting.stepping import follow, states


class Forecaster:
    """A trained network with its normalisation, which forecasts C fields from P past frames.

    `fields` are the names of the channels, in order, `conditioning` those of the scalars and
    constant fields that a forecast needs. `boundary` (along x and y) and `frame_interval` are those
    of the data that it was trained on, None where they are not known.
    """

    def __init__(self, trained: Trained) -> None:
        self.trained, self.fields, self.past_frames = trained, trained.fields, trained.past_frames
        self.conditioning = tuple(name.removeprefix("ln ") for name in trained.conditioning)
        self.boundary, self.frame_interval = trained.boundary, trained.frame_interval

    def forecast(
        self, frames: Field, steps: int, conditioning: Mapping[str, Any] | None = None
    ) -> Field:
        """Return the next frames (B, steps, C, H, W), each one interval of the training later.

        Of frames (B, T, C, H, W) the last P are used; they may be (B, C, H, W) if P is 1. The
        conditioning is a number, (B,) or (B, H, W) for each name. It is an InputError if a shape
        does not fit, a name is missing or a value is no finite real number.
        """
        given, C = _tensor("frames", frames, self.trained.mean), len(self.fields)
        P = self.past_frames
        last = given[:, None] if given.dim() == 4 else given
        fits = last.dim() == 5 and last.shape[2] == C and last.shape[1] >= P
        if not fits or not isinstance(steps, Integral) or steps < 1:
            raise InputError(
                f"frames have shape {tuple(given.shape)} and steps is {steps}, expected at least 1 "
                f"step from (B, T, C, H, W), T >= {P}, C = {C}: {', '.join(self.fields)}"
            )
        state = states(last[:, -P:], P, C)[:, 0]
        if not state.isfinite().all():
            raise InputError("frames have values that are not finite, expected finite numbers")
        known = {} if conditioning is None else conditioning
        step = network_forecaster(self.trained, self._channels(state, known))
        predictions, numbers = [], torch.arange(len(state), device=state.device)
        try:
            for _ in range(steps):
                predictions.append(step(state, numbers))
                state = follow(state, predictions[-1], P)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise InputError(f"frames have shape {tuple(given.shape)}: {reason}") from None
        forecast = torch.stack(predictions, dim=1)
        return forecast if isinstance(frames, Tensor) else forecast.cpu().numpy()

    def _channels(self, frames: Tensor, given: Mapping[str, Any]) -> Tensor:
        """Return the conditioning (B, K, H, W)."""
        B, _, H, W = frames.shape
        if not isinstance(given, Mapping):
            raise InputError(f"conditioning is a {type(given).__name__}, expected names and values")
        channels = frames.new_empty((B, len(self.conditioning), H, W))
        for k, name in enumerate(self.conditioning):
            if name not in given:
                raise InputError(
                    f"conditioning has no {name!r}, expected {', '.join(self.conditioning)}"
                )
            values = _tensor(f"conditioning.{name}", given[name], channels.double())
            shape = tuple(values.shape)
            if self.trained.conditioning[k] != name:
                values = values.log()
            fits = shape[:1] in ((), (1,), (B,)) and shape[1:] in ((), (1, 1), (H, W))
            if not fits or not values.isfinite().all():
                raise InputError(
                    f"conditioning.{name} has shape {shape}, expected a number, ({B},) or "
                    f"({B}, {H}, {W}), finite as {self.trained.conditioning[k]}"
                )
            channels[:, k] = values[:, None, None] if len(shape) == 1 else values
        return channels


def _tensor(name: str, values: Any, like: Tensor) -> Tensor:
    """Return real numbers in type and device of another tensor."""
    try:
        # An array is copied: torch takes neither read-only ones nor negative strides.
        found = values if isinstance(values, Tensor) else torch.from_numpy(np.array(values))
        if found.is_complex():
            raise TypeError(f"it has the type {found.dtype}")
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} cannot be used, expected real numbers: {error}") from None
    return found.to(like)


def load_forecaster(folder: str | Path, device: str = "cpu") -> Forecaster:
    """Return the network of a checkpoint, checkpoints/<model>/<replicate>."""
    with reporting(f"device is {device!r}, expected one that torch has"):
        torch.zeros(1, device=device).item()
    return Forecaster(read_network(Path(folder) / "model.safetensors", torch.device(device)))
