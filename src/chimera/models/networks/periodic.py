"""Convolution on a periodic grid, with p = k // 2:

    y[o, i, j] = bias[o] + sum_{c, m, n} w[o, c, m, n] x[c, (i + m - p) mod H, (j + n - p) mod W]

as `Conv2d(padding_mode="circular")` computes it. Its gradient with respect to x is a periodic
convolution too, of dL/dy with the kernel turned by 180 degrees:

    dL/dx[c, i, j] = sum_{o, m, n} w[o, c, k-1-m, k-1-n] g[o, i + m - p, j + n - p],  g = dL/dy,

so that either way costs one copy with its frame and one convolution of H x W outputs; torch's own
padding copies twice, and its gradient is computed on the frame as well before it is added up.
"""  # noqa: D415

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


def wrap(x: Tensor, width: int) -> Tensor:
    """Surround a periodic field by its own continuation.

    Args:
        x: field (B, C, H, W).
        width: cells p to add on every side, at most min(H, W).

    Returns:
        The field (B, C, H + 2p, W + 2p), in the memory format of `x`; `x` itself if p is 0.
    """
    if width == 0:
        return x
    B, C, H, W = x.shape
    p = width
    channels_last = x.is_contiguous(memory_format=torch.channels_last)
    wrapped = torch.empty(
        (B, C, H + 2 * p, W + 2 * p),
        dtype=x.dtype,
        device=x.device,
        memory_format=torch.channels_last if channels_last else torch.contiguous_format,
    )
    middle = wrapped[:, :, p : p + H]
    middle[:, :, :, p : p + W] = x
    middle[:, :, :, :p] = x[:, :, :, W - p :]
    middle[:, :, :, p + W :] = x[:, :, :, :p]
    wrapped[:, :, :p] = middle[:, :, H - p :]
    wrapped[:, :, p + H :] = middle[:, :, :p]
    return wrapped


class _PeriodicConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        wrapped = wrap(x, weight.shape[-1] // 2)
        ctx.save_for_backward(wrapped, weight)
        return functional.conv2d(wrapped, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        wrapped, weight = ctx.saved_tensors
        dx = None
        if ctx.needs_input_grad[0]:
            turned = weight.flip(2, 3).transpose(0, 1)
            dx = functional.conv2d(wrap(gradient, weight.shape[-1] // 2), turned)
        dweight = torch.ops.aten.convolution_backward(
            gradient,
            wrapped,
            weight,
            None,
            [1, 1],
            [0, 0],
            [1, 1],
            False,
            [0, 0],
            1,
            [False, True, False],
        )[1]
        return dx, dweight, gradient.sum((0, 2, 3))


class PeriodicConv2d(nn.Conv2d):
    """`Conv2d` of stride 1 and odd kernel whose input continues periodically.

    Args:
        in_channels: channels of the input (B, C_in, H, W).
        out_channels: channels of the output (B, C_out, H, W).
        kernel_size: odd width k of the square kernel, k // 2 at most min(H, W).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        around = kernel_size // 2
        super().__init__(
            in_channels, out_channels, kernel_size, padding=around, padding_mode="circular"
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C_in, H, W) to (B, C_out, H, W)."""
        weight, bias = self.weight, cast(Tensor, self.bias)
        if torch.is_autocast_enabled(x.device.type):
            dtype = torch.get_autocast_dtype(x.device.type)
            x, weight, bias = x.to(dtype), weight.to(dtype), bias.to(dtype)
        return _PeriodicConv.apply(x, weight, bias)
