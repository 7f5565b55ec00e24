"""Convolution on a periodic grid, with p = k // 2:

    y[o, i, j] = bias[o] + sum_{c, m, n} w[o, c, m, n] x[c, (i + m - p) mod H, (j + n - p) mod W]

as `Conv2d(padding_mode="circular")` computes it. Its gradient with respect to x is a periodic
convolution too, of dL/dy with the kernel turned by 180 degrees:

    dL/dx[c, i, j] = sum_{o, m, n} w[o, c, k-1-m, k-1-n] g[o, i + m - p, j + n - p],  g = dL/dy,

so that each direction costs one padded copy and one convolution of H x W outputs. torch's own
padding copies twice, and its gradient is computed on the padded grid before it is added up.
"""  # noqa: D415

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


def wrap(x: Tensor, width: int) -> Tensor:
    """Pad (B, C, H, W) periodically by `width` <= min(H, W) cells a side, in x's memory format."""
    if width == 0:
        return x
    (B, C, H, W), p = x.shape, width
    last = x.is_contiguous(memory_format=torch.channels_last)
    order = torch.channels_last if last else torch.contiguous_format
    kind: dict[str, Any] = {"dtype": x.dtype, "device": x.device, "memory_format": order}
    wrapped = torch.empty((B, C, H + 2 * p, W + 2 * p), **kind)
    middle = wrapped[:, :, p : p + H]
    middle[:, :, :, p : p + W] = x
    middle[:, :, :, :p] = x[:, :, :, W - p :]
    middle[:, :, :, p + W :] = x[:, :, :, :p]
    wrapped[:, :, :p] = middle[:, :, H - p :]
    wrapped[:, :, p + H :] = middle[:, :, :p]
    return wrapped


class _PeriodicConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        wrapped = wrap(x, weight.shape[-1] // 2)
        ctx.save_for_backward(wrapped, weight)
        return functional.conv2d(wrapped, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        wrapped, weight = ctx.saved_tensors
        dx = dbias = None
        if ctx.needs_input_grad[0]:
            turned = weight.flip(2, 3).transpose(0, 1)
            dx = functional.conv2d(wrap(gradient, weight.shape[-1] // 2), turned)
        stride, none, mask = [1, 1], [0, 0], [False, True, False]  # the gradient of the weight only
        dweight = torch.ops.aten.convolution_backward(
            gradient, wrapped, weight, None, stride, none, [1, 1], False, none, 1, mask
        )[1]
        if ctx.needs_input_grad[2]:
            dbias = gradient.sum((0, 2, 3))
        return dx, dweight, dbias


class PeriodicConv2d(nn.Conv2d):
    """`Conv2d` of stride 1 and odd kernel on a periodic grid, k // 2 at most min(H, W)."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, bias: bool = True
    ) -> None:
        p = kernel_size // 2
        kind: dict[str, Any] = {"padding": p, "padding_mode": "circular", "bias": bias}
        super().__init__(in_channels, out_channels, kernel_size, **kind)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C_in, H, W) to (B, C_out, H, W)."""
        weight, bias = self.weight, self.bias
        if not x.is_meta and torch.is_autocast_enabled(x.device.type):  # torch knows of none there
            dtype = torch.get_autocast_dtype(x.device.type)
            x, weight = x.to(dtype), weight.to(dtype)
            bias = None if bias is None else bias.to(dtype)
        return _PeriodicConv.apply(x, weight, bias)
