"""Windows of consecutive frames, drawn in an order that depends on the step alone.

Every epoch visits each window once, in a permutation drawn from
SeedSequence(entropy, spawn_key=(epoch,)); steps take consecutive windows of the endless sequence of
epochs. Batch k is therefore a function of k: a resumed run needs no state of the sampler, and two
models with the same entropy see the same batches in the same order. With several processes, each
takes a part of every batch. Axes: n trajectories, B batch, T time, C channel, H, W space.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chimera.interface.errors import InputError


class Form(NamedTuple):
    """The form of batches, of which each process takes an equal part."""

    length: int  # frames of a window
    batch_size: int  # windows of a batch, over all processes
    entropy: tuple[int, ...]  # seeds the permutations, such as (seed, replicate)
    share: tuple[int, int] = (0, 1)  # number of this process and of all processes

    @property
    def part(self) -> int:
        """Windows of a batch that this process takes."""
        return self.batch_size // self.share[1]


class Order:
    """The order of all windows of n trajectories of T frames."""

    def __init__(self, n: int, T: int, form: Form) -> None:
        if form.length > T:
            least = f"at least {form.length} (data.past_frames + train.unroll)"
            raise InputError(f"trajectories have {T} frames, expected {least}")
        starts = np.arange(n)[:, None] * T + np.arange(T - form.length + 1)
        self._starts, self._form = starts.reshape(-1), form
        self._epoch, self._permutation = -1, torch.empty(0, dtype=torch.int64)

    def permutation(self, epoch: int) -> NDArray[np.int64]:
        """Return the first frame of each window of an epoch, as trajectory * T + frame."""
        seed = np.random.SeedSequence(self._form.entropy, spawn_key=(epoch,))
        return np.random.default_rng(seed).permutation(self._starts)

    def batch(self, number: int, device: torch.device) -> Tensor:
        """Return the part of `permutation` that this process takes of batch 0, 1, ..."""
        first = number * self._form.batch_size + self._form.share[0] * self._form.part
        pieces, last = [], first + self._form.part
        while first < last:
            epoch, position = divmod(first, len(self._starts))
            if epoch != self._epoch:
                # On the device once an epoch: a copy for each batch would make the host wait.
                permutation = torch.from_numpy(self.permutation(epoch))
                self._epoch, self._permutation = epoch, permutation.to(device)
            pieces.append(self._permutation[position : position + last - first])
            first += len(pieces[-1])
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


class Windows:
    """Batches of windows out of trajectories (n, T, C, H, W) in memory."""

    def __init__(self, trajectories: Tensor, form: Form) -> None:
        n, T = trajectories.shape[:2]
        self._order = Order(n, T, form)
        # Every window as a view, (n T - length + 1, length, C, H, W), those across two trajectories
        # included, so that a batch is one copy of whole windows.
        frames = trajectories.flatten(0, 1).contiguous()
        self._windows = frames.unfold(0, form.length, 1).movedim(-1, 1)

    def batch(self, number: int) -> Tensor:
        """Return this process's part of batch `number` = 0, 1, ... as (B, length, C, H, W)."""
        return self._windows.index_select(0, self._order.batch(number, self._windows.device))
