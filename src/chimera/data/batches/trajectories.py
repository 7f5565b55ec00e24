"""Windows of consecutive frames, drawn in an order that depends on the step alone.

Every epoch visits each window once, in a permutation drawn from
SeedSequence(entropy, spawn_key=(epoch,)); steps take consecutive windows of the endless sequence of
epochs. Batch k is therefore a function of k: a run that resumes needs no state of the sampler, and
two models with the same entropy see the same batches in the same order. Of several processes each
takes a part of every batch.

n trajectories, B batch, T time, C channel, H, W space.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chimera.interface.errors import InputError


class Order:
    """The order of all windows of n trajectories of T frames.

    Args:
        n: Trajectories.
        T: Frames of each.
        length: Frames of a window.
        batch_size: Windows of a batch, over all processes.
        entropy: Of the permutations, such as (seed, replicate).
        share: This process's number and how many there are; each takes an equal part of a batch.

    Raises:
        InputError: If the trajectories are shorter than a window.
    """

    def __init__(
        self,
        n: int,
        T: int,
        length: int,
        batch_size: int,
        entropy: Sequence[int],
        share: tuple[int, int] = (0, 1),
    ) -> None:
        if length > T:
            raise InputError(
                f"trajectories have {T} frames, expected at least {length} (1 + train.unroll)"
            )
        starts = np.arange(n)[:, None] * T + np.arange(T - length + 1)
        self._starts = starts.reshape(-1)
        self._batch_size = batch_size
        rank, size = share
        self.part = batch_size // size
        self._first = rank * self.part
        self._entropy = tuple(entropy)

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self._starts)

    def pieces(self, number: int) -> list[tuple[int, slice]]:
        """Return where in which epochs this process's part of batch `number` = 0, 1, ... lies."""
        first = number * self._batch_size + self._first
        found, last = [], first + self.part
        while first < last:
            epoch, position = divmod(first, len(self))
            stop = min(position + last - first, len(self))
            found.append((epoch, slice(position, stop)))
            first += stop - position
        return found

    def permutation(self, epoch: int) -> NDArray[np.int64]:
        """Return the first frame of each window of an epoch, as trajectory * T + frame."""
        seed = np.random.SeedSequence(self._entropy, spawn_key=(epoch,))
        return np.random.default_rng(seed).permutation(self._starts)


class Windows:
    """Batches of windows out of trajectories that lie in memory.

    Args:
        trajectories: Frames (n, T, C, H, W).
        length, batch_size, entropy, share: See `Order`.

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
        self._order = Order(n, T, length, batch_size, entropy, share)
        # Every window as a view, those across two trajectories included: (n T - length + 1, length,
        # C, H, W), so that a batch is one copy of whole windows.
        frames = trajectories.flatten(0, 1).contiguous()
        strides = (frames.stride(0), *frames.stride())
        self._windows = frames.as_strided((n * T - length + 1, length, *frames.shape[1:]), strides)
        self._epoch = -1
        self._permutation = torch.empty(0, dtype=torch.int64, device=frames.device)

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self._order)

    def batch(self, number: int) -> Tensor:
        """Return this process's part of batch `number` = 0, 1, ... as (B, length, C, H, W)."""
        starts = [self._of(epoch)[where] for epoch, where in self._order.pieces(number)]
        return self._windows.index_select(0, starts[0] if len(starts) == 1 else torch.cat(starts))

    def _of(self, epoch: int) -> Tensor:
        # Kept where the frames are: a copy for each batch would make the host wait for a GPU.
        if epoch != self._epoch:
            order = torch.from_numpy(self._order.permutation(epoch))
            self._permutation = order.to(self._windows.device)
            self._epoch = epoch
        return self._permutation
