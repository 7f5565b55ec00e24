"""A network as a time stepper: x_{t+1} = x_t + f(x_t, c), applied once or over a rollout.

The network predicts the increment of the normalised frame, so that f = 0 is persistence
(residual prediction, as in Gupta & Brandstetter 2023, "Towards multi-spatiotemporal-scale
generalized PDE modeling", section 4). The conditioning c, which is constant in time, is carried as
the last K channels of a frame.

B batch, T time, C fields, K conditioning channels, H, W space.
"""

import torch
from torch import Tensor, nn


def step(network: nn.Module, frames: Tensor) -> Tensor:
    """Return the next frames (B, C + K, H, W) of normalised frames (B, C + K, H, W).

    The network maps them to the increment (B, C, H, W) of the fields.
    """
    increment = network(frames)
    C = increment.shape[1]
    if frames.shape[1] == C:
        return frames + increment
    return torch.cat([frames[:, :C] + increment, frames[:, C:]], dim=1)


@torch.no_grad()
def rollout(network: nn.Module, frames: Tensor, horizon: int) -> Tensor:
    """Return the predictions (B, horizon, C + K, H, W) from normalised frames (B, C + K, H, W).

    A rollout that blows up is not stopped.
    """
    predictions = []
    for _ in range(horizon):
        frames = step(network, frames)
        predictions.append(frames)
    return torch.stack(predictions, dim=1)
