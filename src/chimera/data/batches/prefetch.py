"""Batches copied to a device before the step that needs them.

While step k computes, a thread gathers batch k + 1 into page-locked memory and a separate stream
copies it to the GPU; in step k + 1 the GPU's stream waits for that copy, not the host.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import torch
from torch import Tensor


class Batches(Protocol):
    """Source of batches."""

    def batch(self, number: int) -> Tensor:
        """Return batch `number` = 0, 1, ... as (B, length, C, H, W)."""


class Prefetched:
    """Batches of host memory, each loaded during the step before, by one thread at a time."""

    def __init__(self, batches: Batches, device: torch.device) -> None:
        self._batches, self._device = batches, device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._thread = ThreadPoolExecutor(1, "prefetch")
        self._next: tuple[int, Future[Tensor]] | None = None

    def batch(self, number: int) -> Tensor:
        """Return batch `number` on the device, and start to load the next."""
        if self._next is None or self._next[0] != number:
            self._next = number, self._thread.submit(self._load, number)
        window = self._next[1].result()
        if self._stream is not None:
            current = torch.cuda.current_stream(self._device)
            current.wait_stream(self._stream)
            window.record_stream(current)  # its memory stays in use until this stream has read it
        self._next = number + 1, self._thread.submit(self._load, number + 1)
        return window

    def _load(self, number: int) -> Tensor:
        window = self._batches.batch(number)
        if self._stream is None:
            return window
        with torch.cuda.stream(self._stream):
            return window.pin_memory().to(self._device, non_blocking=True)
