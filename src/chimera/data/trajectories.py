"""Windows of consecutive frames, drawn in an order that depends on the step alone.

Every epoch visits each window once, in a permutation drawn from
SeedSequence(entropy, spawn_key=(epoch,)); steps take consecutive windows of the endless sequence of
epochs. Batch k is therefore a function of k: a run that resumes needs no state of the sampler, and
two models with the same entropy see the same batches in the same order.

n trajectories, B batch, T time, C channel, H, W space.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chimera.errors import InputError


class Batches(Protocol):
    """Gives batch `number` = 0, 1, ... of normalised windows as (B, length, C, H, W)."""

    def batch(self, number: int) -> Tensor:
        """Return the batch."""


class Order:
    """The order of all windows of n trajectories of T frames.

    Args:
        n: Trajectories.
        T: Frames of each.
        length: Frames of a window.
        batch_size: Windows of a batch.
        entropy: Of the permutations, such as (seed, replicate).

    Raises:
        InputError: If the trajectories are shorter than a window.
    """

    def __init__(
        self, n: int, T: int, length: int, batch_size: int, entropy: Sequence[int]
    ) -> None:
        if length > T:
            raise InputError(
                f"trajectories have {T} frames, expected at least {length} (1 + train.unroll)"
            )
        starts = np.arange(n)[:, None] * T + np.arange(T - length + 1)
        self._starts = starts.reshape(-1)
        self._batch_size = batch_size
        self._entropy = tuple(entropy)
        self._epoch = -1
        self._permutation = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self._starts)

    def batch(self, number: int) -> NDArray[np.int64]:
        """Return the first frames of batch `number` = 0, 1, ..., as trajectory * T + frame."""
        position, parts = number * self._batch_size, []
        end = position + self._batch_size
        while position < end:
            epoch, first = divmod(position, len(self))
            parts.append(self._of(epoch)[first : first + end - position])
            position += len(parts[-1])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _of(self, epoch: int) -> NDArray[np.int64]:
        if epoch != self._epoch:
            seed = np.random.SeedSequence(self._entropy, spawn_key=(epoch,))
            self._permutation = np.random.default_rng(seed).permutation(self._starts)
            self._epoch = epoch
        return self._permutation


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
        self._order = Order(n, T, length, batch_size, entropy)
        # Every window as a view, those across two trajectories included: (n T - length + 1, length,
        # C, H, W), so that a batch is one copy of whole windows.
        frames = trajectories.flatten(0, 1).contiguous()
        strides = (frames.stride(0), *frames.stride())
        self._windows = frames.as_strided((n * T - length + 1, length, *frames.shape[1:]), strides)

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self._order)

    def batch(self, number: int) -> Tensor:
        """Return batch `number` = 0, 1, ... as (B, length, C, H, W)."""
        starts = torch.from_numpy(self._order.batch(number)).to(self._windows.device)
        return self._windows.index_select(0, starts)
