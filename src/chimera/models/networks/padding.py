"""Padding of fields (B, C, H, W), axis by axis.

    circular   x[i] = x[i mod N]        replicate   x[i] = x[min(max(i, 0), N - 1)]

Only slices and concatenations are used, whose gradients are the same on every run and device.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Padding = Literal["circular", "replicate"]


def extend(x: Tensor, dim: int, before: int, after: int, padding: str) -> Tensor:
    """Return a field with cells added at both ends of an axis, at most its length if circular."""
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
    """Return a field on a larger grid with new cells on both sides, and its rows and columns."""
    places = []
    for dim, (size, kind) in enumerate(zip(grid, padding, strict=True), start=2):
        length = x.shape[dim]
        before = (size - length) // 2
        x = extend(x, dim, before, size - length - before, kind)
        places.append(slice(before, before + length))
    return x, places[0], places[1]


class PaddedConv2d(nn.Conv2d):
    """`Conv2d` of stride 1 and odd kernel whose input is padded as `padding` says along H and W."""

    def __init__(self, shape: tuple[int, int, int], padding: Sequence[str], **kind: Any) -> None:
        """Take C_in, C_out and the kernel's size, and `bias`, `dilation` and `groups` of torch."""
        super().__init__(*shape, **kind)
        self.kinds = tuple(padding)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C_in, H, W) to (B, C_out, H, W)."""
        p = self.dilation[0] * (self.kernel_size[0] // 2)
        for dim, kind in enumerate(self.kinds, start=2):
            x = extend(x, dim, p, p, kind)
        dilation, groups = self.dilation, self.groups
        return functional.conv2d(x, self.weight, self.bias, dilation=dilation, groups=groups)
