"""Convolution on a periodic grid.

    y[o, i, j] = bias[o] + sum_{c, m, n} w[o, c, m, n] x[c, (i + m - p) mod H, (j + n - p) mod W]

with p = k // 2: what `Conv2d(padding_mode="circular")` computes. Its padding copies the field
twice and again on the way back; here the wrapped frame is written around one copy, and the
gradient of the frame is added, in place, to the cells it came from.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def wrap(x: Tensor, width: int) -> Tensor:
    """Surround a periodic field by its own continuation.

    Args:
        x: field (B, C, H, W).
        width: cells p to add on every side, at most min(H, W).

    Returns:
        The field (B, C, H + 2p, W + 2p), in the memory format of `x`.

    """
    B, C, H, W = x.shape
    p = width
    wrapped = torch.empty(
        (B, C, H + 2 * p, W + 2 * p),
        dtype=x.dtype,
        device=x.device,
        memory_format=_memory_format(x),
    )
    wrapped[:, :, p : p + H, p : p + W] = x
    wrapped[:, :, p : p + H, :p] = x[:, :, :, W - p :]
    wrapped[:, :, p : p + H, p + W :] = x[:, :, :, :p]
    wrapped[:, :, :p] = wrapped[:, :, H : H + p]
    wrapped[:, :, p + H :] = wrapped[:, :, p : 2 * p]
    return wrapped


def fold_(wrapped: Tensor, width: int) -> Tensor:
    """Add a frame back onto the cells it continues: the adjoint of `wrap`.

    Args:
        wrapped: field (B, C, H + 2p, W + 2p), overwritten.
        width: cells p of the frame.

    Returns:
        The field (B, C, H, W), a view of `wrapped`.

    """
    p = width
    H, W = wrapped.shape[2] - 2 * p, wrapped.shape[3] - 2 * p
    wrapped[:, :, p : 2 * p] += wrapped[:, :, p + H :]
    wrapped[:, :, H : H + p] += wrapped[:, :, :p]
    wrapped[:, :, p : p + H, p : 2 * p] += wrapped[:, :, p : p + H, p + W :]
    wrapped[:, :, p : p + H, W : W + p] += wrapped[:, :, p : p + H, :p]
    return wrapped[:, :, p : p + H, p : p + W]


class _Wrap(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, width: int) -> Tensor:
        return wrap(x, width)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], _output: Tensor) -> None:
        ctx.width = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Fold.apply(gradient, ctx.width), None


class _Fold(torch.autograd.Function):
    @staticmethod
    def forward(wrapped: Tensor, width: int) -> Tensor:
        return fold_(wrapped.clone(), width)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], _output: Tensor) -> None:
        ctx.width = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Wrap.apply(gradient, ctx.width), None


class PeriodicConv2d(nn.Conv2d):
    """`Conv2d` of stride 1 and odd kernel whose input continues periodically.

    Args:
        in_channels: channels of the input (B, C_in, H, W).
        out_channels: channels of the output (B, C_out, H, W).
        kernel_size: odd width k of the square kernel, k // 2 at most min(H, W).

    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C_in, H, W) to (B, C_out, H, W)."""
        width = self.kernel_size[0] // 2
        if width:
            x = _Wrap.apply(x, width)
        return functional.conv2d(x, self.weight, self.bias)


def _memory_format(x: Tensor) -> torch.memory_format:
    if x.is_contiguous(memory_format=torch.channels_last):
        return torch.channels_last
    return torch.contiguous_format
