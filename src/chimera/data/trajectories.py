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
        share: Rank and number of the processes that divide each batch in equal, consecutive parts.

    Raises:
        InputError: If the trajectories are shorter than a window.
    """

    def __init__(
        self,
        trajectories: Tensor,
        length: int,
        batch_size: int,
        entropy: Sequence[int],
        share: tuple[int, int] = (0, 1),
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
        rank, size = share
        self._part = batch_size // size
        self._first = rank * self._part
        self._entropy = tuple(entropy)
        self._epoch = -1
        self._order = self._offsets[:0]

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self._starts)

    def batch(self, number: int) -> Tensor:
        """Return this process's part of batch `number` = 0, 1, ... as (B, length, C, H, W)."""
        first = number * self._batch_size + self._first
        starts, last = [], first + self._part
        while first < last:
            epoch, position = divmod(first, len(self))
            starts.append(self._permutation(epoch)[position : position + last - first])
            first += len(starts[-1])
        rows = torch.cat(starts)[:, None] + self._offsets
        window = self._frames.index_select(0, rows.flatten())
        return window.unflatten(0, rows.shape)

    def _permutation(self, epoch: int) -> Tensor:
        # Kept where the frames are: a copy for each batch would make the host wait for a GPU.
        if epoch != self._epoch:
            seed = np.random.SeedSequence(self._entropy, spawn_key=(epoch,))
            order = np.random.default_rng(seed).permutation(self._starts)
            self._order = torch.from_numpy(order).to(self._offsets.device)
            self._epoch = epoch
        return self._order
