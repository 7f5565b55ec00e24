"""A network as a time stepper: x_{t+1} = x_t + f(x_t), applied once or over a rollout.

The network predicts the increment of the normalised frame, so that f = 0 is persistence
(residual prediction, as in Gupta & Brandstetter 2023, "Towards multi-spatiotemporal-scale
generalized PDE modeling", section 4).

B batch, T time, C channel, H, W space.
"""

import torch
from torch import Tensor, nn


def step(network: nn.Module, frames: Tensor) -> Tensor:
    """Return the next frames (B, C, H, W) of normalised frames (B, C, H, W)."""
    return frames + network(frames)


@torch.no_grad()
def rollout(network: nn.Module, frames: Tensor, horizon: int) -> Tensor:
    """Return the predictions (B, horizon, C, H, W) from normalised frames (B, C, H, W).

    A rollout that blows up is not stopped.
    """
    predictions = []
    for _ in range(horizon):
        frames = step(network, frames)
        predictions.append(frames)
    return torch.stack(predictions, dim=1)
