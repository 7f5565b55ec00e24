"""Fields beyond their edges, axis by axis: periodic continuation, or the value at the edge.

    circular   x[i] = x[i mod N]        replicate   x[i] = x[min(max(i, 0), N - 1)]

Slices and concatenations alone, whose gradients are the same on every run and device.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Padding = Literal["circular", "replicate"]


def extend(x: Tensor, dim: int, before: int, after: int, padding: str) -> Tensor:
    """Return a field with cells added at both ends of one axis.

    Args:
        x: field (B, C, H, W).
        dim: 2 for H, 3 for W.
        before: cells to add ahead, at most the axis' length if circular.
        after: cells to add behind, likewise.
        padding: `circular` or `replicate`.
    """
    if before == after == 0:
        return x
    N = x.shape[dim]
    if padding == "circular":
        ahead, behind = x.narrow(dim, N - before, before), x.narrow(dim, 0, after)
    else:
        shape = list(x.shape)
        shape[dim] = before
        ahead = x.narrow(dim, 0, 1).expand(shape)
        shape[dim] = after
        behind = x.narrow(dim, N - 1, 1).expand(shape)
    return torch.cat([ahead, x, behind], dim=dim)


def enlarge(x: Tensor, grid: Sequence[int], padding: Sequence[str]) -> tuple[Tensor, slice, slice]:
    """Return a field on a larger grid, the new cells on both sides, and where it lies in there."""
    places = []
    for dim, (size, kind) in enumerate(zip(grid, padding, strict=True), start=2):
        missing, length = size - x.shape[dim], x.shape[dim]
        before = missing // 2
        x = extend(x, dim, before, missing - before, kind)
        places.append(slice(before, before + length))
    return x, places[0], places[1]


class PaddedConv2d(nn.Conv2d):
    """`Conv2d` of stride 1 and odd kernel whose input goes on beyond each edge as `padding` says.

    Args:
        in_channels: channels of the input (B, C_in, H, W).
        out_channels: channels of the output (B, C_out, H, W).
        kernel_size: odd width k of the square kernel.
        padding: `circular` or `replicate`, along H and W.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, padding: Sequence[str]
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size)
        self.beyond = tuple(padding)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C_in, H, W) to (B, C_out, H, W)."""
        p = self.kernel_size[0] // 2
        for dim, kind in enumerate(self.beyond, start=2):
            x = extend(x, dim, p, p, kind)
        return functional.conv2d(x, self.weight, self.bias)
