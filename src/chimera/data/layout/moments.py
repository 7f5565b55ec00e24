"""Statistics of the channels of a training split, merged block by block.

T time, C channel, H, W space.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chimera.data.layout.recordings import Array
from chimera.interface.errors import InputError


class ChannelMoments:
    """Mean, deviation and root mean square of each channel and of its change between frames.

    Blocks are merged by Chan, Golub & LeVeque 1983 (eq. 1.5), in float64.
    """

    def __init__(self) -> None:
        # Number of values, their mean and their summed squared deviation (C,), by suffix.
        self._sums: dict[str, tuple[int, NDArray[np.float64], NDArray[np.float64]]] = {}
        self._last: Array | None = None

    def add(self, block: Array, start: int) -> None:
        """Add frames (t, C, H, W), the next of their trajectory."""
        self._merge("", block)
        joined = block if self._last is None or not start else np.concatenate([self._last, block])
        if len(joined) > 1:
            self._merge("_delta", np.diff(joined.astype(np.float64), axis=0))
        self._last = block[-1:]

    def _merge(self, suffix: str, block: NDArray[Any]) -> None:
        values = block.astype(np.float64).swapaxes(0, 1).reshape(block.shape[1], -1)
        n, mean = values.shape[1], values.mean(axis=1)
        squares = np.square(values - mean[:, None]).sum(axis=1)
        if suffix in self._sums:
            m, old, old_squares = self._sums[suffix]
            change = mean - old
            squares = old_squares + squares + change**2 * m * n / (m + n)
            n, mean = m + n, old + change * n / (m + n)
        self._sums[suffix] = n, mean, squares

    def table(self, fields: Sequence[str]) -> dict[str, Any]:
        """Return the content of stats.yaml."""
        result: dict[str, Any] = {}
        for suffix, (n, mean, squares) in self._sums.items():
            std = np.sqrt(squares / max(n - 1, 1))
            rms = np.sqrt(mean**2 + squares / n)
            for moment, values in (("mean", mean), ("std", std), ("rms", rms)):
                result[moment + suffix] = dict(zip(fields, values.tolist(), strict=True))
        for name, value in result["std"].items():
            if not value > 0:
                stated = f"the field {name!r} is {result['mean'][name]:g} everywhere"
                raise InputError(f"{stated} in the training trajectories, expected one that varies")
        return result
