"""Normalised windows of a split: in memory if it fits, else read ahead of the training.

A batch is the same function of its number, and the same bytes, either way
(chimera.data.batches.trajectories). Axes: n trajectories, B batch, T time, C channel, H, W space.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from chimera.data.batches.prefetch import Batches, Prefetched
from chimera.data.batches.trajectories import Form, Order, Windows
from chimera.data.layout.recordings import Array
from chimera.data.layout.splits import Split
from chimera.models.forecasting.devices import has_room

Moments = Mapping[str, Sequence[float]]  # `mean` and `std` of each channel (C,)


class StreamedWindows:
    """The batches of `Windows` out of trajectories that stay in their files."""

    def __init__(self, split: Split, moments: Moments, form: Form) -> None:
        self._split, self._moments = split, moments
        self._order = Order(split.shape[0], split.shape[1], form)
        self._shape = (form.part, form.length, *split.shape[2:])

    def batch(self, number: int) -> Tensor:
        """Return this process's part of batch `number` = 0, 1, ... as (B, length, C, H, W)."""
        starts = self._order.batch(number, torch.device("cpu")).numpy()
        trajectories, frames = np.divmod(starts, self._split.shape[1])
        batch = np.empty(self._shape, dtype=np.float32)
        self._split.windows(trajectories.tolist(), frames.tolist(), batch)
        return torch.from_numpy(normalised(batch, self._moments))


def normalised(frames: Array, moments: Moments) -> Array:
    """Return (frames - mean) / std of frames (..., C, H, W), computed in place."""
    mean, std = (np.array(moments[m], dtype=np.float32).reshape(-1, 1, 1) for m in ("mean", "std"))
    frames -= mean
    frames /= std
    return frames


def first_frames(split: Split, moments: Moments, memory: int, device: torch.device) -> Tensor:
    """Return the first trajectories (m, T, C, H, W) that fit into `memory` bytes, at least one."""
    frames = torch.from_numpy(normalised(split.read(0, split.fitting(memory)), moments))
    return frames.to(device) if has_room(frames.nbytes, device) else frames


def open_windows(
    split: Split, moments: Moments, form: Form, device: torch.device, memory: int
) -> Batches:
    """Return the windows of a split: in memory if its frames fit into `memory` bytes."""
    if split.nbytes > memory:
        return Prefetched(StreamedWindows(split, moments, form), device)
    frames = first_frames(split, moments, memory, device)
    windows = Windows(frames, form)
    return windows if frames.device == device else Prefetched(windows, device)


def read_splits(
    train: Split, valid: Split, moments: Moments, form: Form, device: torch.device, memory: int
) -> tuple[Batches, Tensor]:
    """Return batches of the train split, and frames (m, T, C, H, W) of the validation split.

    Three quarters of `memory` (bytes) are for the first; of the other, what fits the rest is used.
    """
    batches = open_windows(train, moments, form, device, 3 * memory // 4)
    return batches, first_frames(valid, moments, memory // 4, device)
