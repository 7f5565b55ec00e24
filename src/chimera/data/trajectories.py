"""Windows of consecutive frames, drawn in an order that depends on the step alone.

Every epoch visits each window once, in a permutation drawn from
SeedSequence(entropy, spawn_key=(epoch,)); steps take consecutive windows of the endless sequence of
epochs. Batch k is therefore a function of k: a run that resumes needs no state of the sampler, and
two models with the same entropy see the same batches in the same order.

n trajectories, B batch, T time, C channel, H, W space.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from chimera.errors import InputError


class Windows:
    """Batches of windows out of trajectories that lie in memory.

    Args:
        trajectories: Frames (n, T, C, H, W).
        length: Frames of a window.
        batch_size: Windows of a batch.
        entropy: Of the permutations, such as (seed, replicate).

    Raises:
        InputError: If the trajectories are shorter than a window.
    """

    def __init__(
        self, trajectories: Tensor, length: int, batch_size: int, entropy: Sequence[int]
    ) -> None:
        n, T = trajectories.shape[:2]
        if length > T:
            raise InputError(
                f"trajectories have {T} frames, expected at least {length} (1 + train.unroll)"
            )
        self._frames = trajectories.flatten(0, 1)  # (n T, C, H, W)
        starts = np.arange(n)[:, None] * T + np.arange(T - length + 1)
        self._starts = starts.reshape(-1)
        self._offsets = torch.arange(length, device=trajectories.device)
        self._batch_size = batch_size
        self._entropy = tuple(entropy)
        self._epoch = -1
        self._order = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self._starts)

    def batch(self, number: int) -> Tensor:
        """Return batch `number` = 0, 1, ... as (B, length, C, H, W)."""
        first = number * self._batch_size
        positions = range(first, first + self._batch_size)
        starts = np.array([self._permutation(p // len(self))[p % len(self)] for p in positions])
        rows = torch.from_numpy(starts).to(self._offsets.device)[:, None] + self._offsets
        window = self._frames.index_select(0, rows.flatten())
        return window.unflatten(0, rows.shape)

    def _permutation(self, epoch: int) -> np.ndarray:
        if epoch != self._epoch:
            seed = np.random.SeedSequence(self._entropy, spawn_key=(epoch,))
            self._order = np.random.default_rng(seed).permutation(self._starts)
            self._epoch = epoch
        return self._order
