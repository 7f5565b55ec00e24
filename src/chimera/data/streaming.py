"""Normalised windows of a split: in memory where it fits, else read ahead of the training.

A batch is the same function of its number either way (chimera.data.trajectories), and the same
bytes.

n trajectories, B batch, T time, C channel, H, W space.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chimera.data.recordings import Array
from chimera.data.splits import Split
from chimera.data.trajectories import Batches, Order, Windows

# Batches that are read ahead of the step that needs them.
_AHEAD = 3


class StreamedWindows:
    """The same batches out of trajectories that stay in their files, read ahead by a thread.

    Args:
        split: The trajectories (n, T, C, H, W).
        moments: `mean` and `std`, (C,) each, that frames are normalised by.
        length: Frames of a window.
        batch_size: Windows of a batch.
        entropy: Of the permutations, such as (seed, replicate).
        device: Where batches are to be.

    Raises:
        InputError: If the trajectories are shorter than a window.
    """

    def __init__(
        self,
        split: Split,
        moments: Mapping[str, Sequence[float]],
        length: int,
        batch_size: int,
        entropy: Sequence[int],
        device: torch.device,
    ) -> None:
        self._order = Order(split.shape[0], split.shape[1], length, batch_size, entropy)
        self._split, self._moments, self._device = split, moments, device
        self._shape = (batch_size, length, *split.shape[2:])
        self._reader = ThreadPoolExecutor(1, "frames")
        self._ahead: dict[int, Future[Array]] = {}

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self._order)

    def batch(self, number: int) -> Tensor:
        """Return batch `number` = 0, 1, ... as (B, length, C, H, W).

        Raises:
            InputError: If a file is broken.
        """
        wanted = range(number, number + 1 + _AHEAD)
        for other in [other for other in self._ahead if other not in wanted]:
            self._ahead.pop(other).cancel()
        for other in wanted:
            if other not in self._ahead:
                starts = self._order.batch(other)
                self._ahead[other] = self._reader.submit(self._read, starts)
        return torch.from_numpy(self._ahead.pop(number).result()).to(self._device)

    def _read(self, starts: NDArray[np.int64]) -> Array:
        trajectories, frames = np.divmod(starts, self._split.shape[1])
        batch = np.empty(self._shape, dtype=np.float32)
        self._split.windows(trajectories.tolist(), frames.tolist(), batch)
        return normalised(batch, self._moments)


def normalised(frames: Array, moments: Mapping[str, Sequence[float]]) -> Array:
    """Return frames (..., C, H, W) less `mean` over `std`, (C,) each; the same memory."""
    mean, std = (
        np.array(moments[moment], dtype=np.float32).reshape(-1, 1, 1) for moment in ("mean", "std")
    )
    frames -= mean
    frames /= std
    return frames


def open_windows(
    split: Split,
    moments: Mapping[str, Sequence[float]],
    length: int,
    batch_size: int,
    entropy: Sequence[int],
    device: torch.device,
    memory: int,
) -> Batches:
    """Return the windows of a split, in memory if its frames fit into so many bytes."""
    if split.nbytes > memory:
        return StreamedWindows(split, moments, length, batch_size, entropy, device)
    frames = torch.from_numpy(normalised(split.read(), moments)).to(device)
    return Windows(frames, length, batch_size, entropy)


def first_frames(split: Split, moments: Mapping[str, Sequence[float]], memory: int) -> Tensor:
    """Return the first trajectories (m, T, C, H, W) that fit into so many bytes, at least one."""
    return torch.from_numpy(normalised(split.read(0, split.fitting(memory)), moments))
