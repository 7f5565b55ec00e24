"""Batches on their way to a device before the step that needs them.

While step k computes, a thread gathers batch k + 1 into page-locked memory and a stream of its own
copies it to the GPU; step k + 1 then makes its stream wait for that copy, not the host.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import torch
from torch import Tensor


class Batches(Protocol):
    """Anything that gives the batch of a step."""

    def batch(self, number: int) -> Tensor:
        """Return batch `number` = 0, 1, ... as (B, length, C, H, W)."""


class Prefetched:
    """Batches of host memory, one ahead.

    Args:
        batches: Where they come from; asked by one thread at a time.
        device: Where they are needed; a CPU needs no copy.
    """

    def __init__(self, batches: Batches, device: torch.device) -> None:
        self._batches, self._device = batches, device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._thread = ThreadPoolExecutor(1, "prefetch")
        self._next: tuple[int, Future[Tensor]] | None = None

    def batch(self, number: int) -> Tensor:
        """Return batch `number` on the device, and start on the one after it."""
        if self._next is None or self._next[0] != number:
            self._next = number, self._thread.submit(self._load, number)
        window = self._next[1].result()
        if self._stream is not None:
            current = torch.cuda.current_stream(self._device)
            current.wait_stream(self._stream)
            window.record_stream(current)  # its memory is in use until this stream is done with it
        self._next = number + 1, self._thread.submit(self._load, number + 1)
        return window

    def _load(self, number: int) -> Tensor:
        window = self._batches.batch(number)
        if self._stream is None:
            return window
        with torch.cuda.stream(self._stream):
            return window.pin_memory().to(self._device, non_blocking=True)
