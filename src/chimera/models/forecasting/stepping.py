"""A network as a time stepper: x_{t+1} = x_t + f(x_t, .., x_{t-P+1}, c), once or over a rollout.

The network predicts the increment of the newest normalised frame, so that f = 0 is persistence
(residual prediction, as in Gupta & Brandstetter 2023, "Towards multi-spatiotemporal-scale
generalized PDE modeling", section 4). Its input is a state (P C + K, H, W): the C fields of the
newest of P frames, those of older ones, and the conditioning c, which is constant in time.

B batch, T time, C fields, K conditioning channels, P past frames, H, W space.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put every module in evaluation mode, and back into its own mode on exit."""
    training = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in training:
            module.training = mode


def states(frames: Tensor, past_frames: int, num_fields: int, every: int = 1) -> Tensor:
    """Return the states (B, S, P C + K, H, W) at the ends of all P consecutive frames, or of some.

    Frames are (B, T, C + K, H, W), and S = T - P + 1 if every state is taken.
    """
    if past_frames == 1:
        return frames[:, ::every]
    P, C = past_frames, num_fields
    past = [frames[:, p : p - P + 1 or None : every, :C] for p in reversed(range(P))]
    return torch.cat([*past, frames[:, P - 1 :: every, C:]], dim=2)


def follow(state: Tensor, newest: Tensor, past_frames: int = 1) -> Tensor:
    """Return the states (B, P C + K, H, W) in which the fields (B, C, H, W) follow those before."""
    C = newest.shape[1]
    if state.shape[1] == C:
        return newest
    older = [state[:, : (past_frames - 1) * C], state[:, past_frames * C :]]
    return torch.cat([newest, *older], dim=1)


def step(network: nn.Module, state: Tensor, past_frames: int = 1) -> Tensor:
    """Return the next states (B, P C + K, H, W) of normalised states.

    The network maps them to the increment (B, C, H, W) of the newest fields.
    """
    increment = network(state)
    return follow(state, state[:, : increment.shape[1]] + increment, past_frames)


@torch.no_grad()
def rollout(network: nn.Module, state: Tensor, horizon: int, past_frames: int = 1) -> Tensor:
    """Return the predicted states (B, horizon, P C + K, H, W) from states (B, P C + K, H, W).

    A rollout that blows up is not stopped.
    """
    predictions = []
    for _ in range(horizon):
        state = step(network, state, past_frames)
        predictions.append(state)
    return torch.stack(predictions, dim=1)
