"""Rollouts that are kept to be watched: of some trajectories, as normalised half precision."""

import torch
from torch import Tensor

from chimera.models.forecasting.checkpoint import Trained

KEPT = 1 << 23  # bytes of one forecaster on one dataset


def kept_numbers(rollouts: Tensor) -> Tensor:
    """Return the numbers of as many of n trajectories as are kept, evenly spaced, at least one."""
    n, size = len(rollouts), 2 * rollouts[0].numel()
    count = max(min(n, KEPT // size), 1)
    return torch.arange(count) * n // count


def keep(rollouts: Tensor, trained: Trained) -> Tensor:
    """Return (x - mean) / std of the kept ones of physical rollouts (n, T, C, H, W).

    Normalised, a field of any unit keeps three digits; what exceeds 65504 std becomes infinite.
    """
    C = len(trained.fields)
    chosen = rollouts[kept_numbers(rollouts).to(rollouts.device)]
    return ((chosen - trained.mean[:C]) / trained.std[:C]).half()
