"""Normalised windows of a split: in memory where it fits, else read ahead of the training.

A batch is the same function of its number either way (chimera.data.batches.trajectories), and the
same bytes.

n trajectories, B batch, T time, C channel, H, W space.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chimera.data.batches.prefetch import Batches, Prefetched
from chimera.data.batches.trajectories import Order, Windows
from chimera.data.layout.recordings import Array
from chimera.data.layout.splits import Split
from chimera.models.forecasting.devices import has_room

Moments = Mapping[str, Sequence[float]]


class StreamedWindows:
    """The batches of `Windows` out of trajectories that stay in their files.

    Args:
        split: The trajectories (n, T, C, H, W).
        moments: `mean` and `std`, (C,) each, that frames are normalised by.
        length: Frames of a window.
        batch_size: Windows of a batch, over all processes.
        entropy: Of the permutations, such as (seed, replicate).
        share: This process's number and how many there are.

    Raises:
        InputError: If the trajectories are shorter than a window.
    """

    def __init__(
        self,
        split: Split,
        moments: Moments,
        length: int,
        batch_size: int,
        entropy: Sequence[int],
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self._order = Order(split.shape[0], split.shape[1], length, batch_size, entropy, share)
        self._split, self._moments = split, moments
        self._shape = (self._order.part, length, *split.shape[2:])
        self._epoch = -1
        self._permutation = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self._order)

    def batch(self, number: int) -> Tensor:
        """Return this process's part of batch `number` = 0, 1, ... as (B, length, C, H, W).

        Raises:
            InputError: If a file is broken.
        """
        pieces = [self._of(epoch)[where] for epoch, where in self._order.pieces(number)]
        trajectories, frames = np.divmod(np.concatenate(pieces), self._split.shape[1])
        batch = np.empty(self._shape, dtype=np.float32)
        self._split.windows(trajectories.tolist(), frames.tolist(), batch)
        return torch.from_numpy(normalised(batch, self._moments))

    def _of(self, epoch: int) -> NDArray[np.int64]:
        if epoch != self._epoch:
            self._permutation, self._epoch = self._order.permutation(epoch), epoch
        return self._permutation


def normalised(frames: Array, moments: Moments) -> Array:
    """Return frames (..., C, H, W) less `mean` over `std`, (C,) each; the same memory."""
    mean, std = (
        np.array(moments[moment], dtype=np.float32).reshape(-1, 1, 1) for moment in ("mean", "std")
    )
    frames -= mean
    frames /= std
    return frames


def first_frames(split: Split, moments: Moments, memory: int, device: torch.device) -> Tensor:
    """Return the first trajectories (m, T, C, H, W) that fit into so many bytes, at least one.

    They lie on the device where it has room.
    """
    frames = torch.from_numpy(normalised(split.read(0, split.fitting(memory)), moments))
    return frames.to(device) if has_room(frames.nbytes, device) else frames


class Form(NamedTuple):
    """Of the batches: see `Windows`."""

    length: int
    batch_size: int
    entropy: Sequence[int]
    share: tuple[int, int] = (0, 1)


def open_windows(
    split: Split, moments: Moments, form: Form, device: torch.device, memory: int
) -> Batches:
    """Return the windows of a split: near the device if its frames fit into `memory` bytes."""
    if split.nbytes > memory:
        return Prefetched(StreamedWindows(split, moments, *form), device)
    frames = first_frames(split, moments, memory, device)
    windows = Windows(frames, *form)
    return windows if frames.device == device else Prefetched(windows, device)


def read_splits(
    train: Split, valid: Split, moments: Moments, form: Form, device: torch.device, memory: int
) -> tuple[Batches, Tensor]:
    """Return batches of the train split, and frames (m, T, C, H, W) of the valid split.

    Three quarters of `memory` are for the train split, a quarter for the valid split, of which
    those trajectories count that fit.
    """
    batches = open_windows(train, moments, form, device, 3 * memory // 4)
    return batches, first_frames(valid, moments, memory // 4, device)
