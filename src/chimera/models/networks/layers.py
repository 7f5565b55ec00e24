"""The unit of every block: z -> activation(norm(conv(z)))."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from chimera.models.networks.padding import PaddedConv2d, Padding
from chimera.models.networks.periodic import PeriodicConv2d

Norm = Literal["group", "batch", "instance", "none"]
Activation = Literal["gelu", "silu", "relu"]

# Norms that subtract the mean of each channel.
CENTRING_NORMS = ("batch", "instance")

_ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "silu": nn.SiLU, "relu": nn.ReLU}


class GroupNorm(nn.GroupNorm):
    """Group norm (Wu & He 2018) of one group, which keeps the ratio of the channels' amplitudes."""

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, H, W).

        torch's kernel runs along the channels of a cell and is three times slower when they are
        few. The norm over all of them is the same if neighbouring cells of a row become channels.
        """
        B, C, H, W = x.shape
        cells = math.gcd(W, 8) if C < 16 else 1
        wide = x.permute(0, 2, 3, 1).reshape(B, H, W // cells, cells * C).permute(0, 3, 1, 2)
        weight, bias = self.weight.repeat(cells), self.bias.repeat(cells)
        y = functional.group_norm(wide, 1, weight, bias, self.eps)
        return y.permute(0, 2, 3, 1).reshape(B, H, W, C).permute(0, 3, 1, 2)


class _Sum(torch.autograd.Function):
    """The sum over all processes, whose gradient is the sum of their gradients."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        total = values.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient)


class BatchNorm(nn.BatchNorm2d):
    """Batch norm (Ioffe & Szegedy 2015) over the whole batch, however many processes share it.

    With N processes of equal parts, mean and variance are means over all of them, and so are their
    gradients (Zhang et al. 2018, arXiv:1803.08904, section 3.4). torch's SyncBatchNorm, which does
    the same, runs on no CPU.
    """

    share: tuple[int, int] = (0, 1)  # rank and number of the processes

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, H, W)."""
        size = self.share[1]
        if size == 1 or not self.training:
            return super().forward(x)

        def mean(values: Tensor) -> Tensor:
            return _Sum.apply(values.mean((0, 2, 3), keepdim=True)) / size

        wide = x.float()
        centre = mean(wide)
        variance = mean((wide - centre).square())
        count = size * x.numel() / x.shape[1]
        unbiased = variance.detach() * (count / (count - 1))
        for running, value in (("mean", centre.detach()), ("var", unbiased)):
            self.get_buffer(f"running_{running}").lerp_(value.flatten(), self.momentum or 0.1)
        self.get_buffer("num_batches_tracked").add_(1)
        weight, bias = (part[:, None, None] for part in (self.weight, self.bias))
        return ((wide - centre) * (variance + self.eps).rsqrt() * weight + bias).to(x.dtype)


class Dropout(nn.Dropout2d):
    """Drops whole channels of a sample in training and scales up the others (Tompson et al. 2015).

    Processes that divide a batch in equal, consecutive parts each draw the mask of the whole batch
    and use their part, so that the division changes no mask and no state of the random generator.
    """

    share: tuple[int, int] = (0, 1)  # rank and number of the processes

    def forward(self, x: Tensor) -> Tensor:
        """Drop channels of (B, C, H, W)."""
        rank, size = self.share
        if size == 1 or not self.training or self.p == 0:
            return super().forward(x)
        B, C = x.shape[:2]
        kept = x.new_empty((size * B, C, 1, 1)).bernoulli_(1 - self.p).div_(1 - self.p)
        return x * kept[rank * B : (rank + 1) * B]


_NORMS: dict[str, Callable[[int], nn.Module]] = {"group": GroupNorm, "batch": BatchNorm}
_NORMS["instance"] = partial(nn.InstanceNorm2d, affine=True)


class ConvUnit(nn.Sequential):
    """z (B, C_in, H, W) -> activation(norm(conv(z))) (B, C_out, H, W).

    The norm has a scale and a shift for each channel; `padding` is that along H and W. Where the
    norm subtracts each channel's mean, the convolution has no bias: it would have no effect, and
    the rounding errors of its gradient, which is zero, would be all that moves it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        norm: Norm,
        activation: Activation,
        padding: tuple[Padding, Padding],
    ) -> None:
        super().__init__()
        shape, bias = (in_channels, out_channels, kernel_size), norm not in CENTRING_NORMS
        if "replicate" in padding:
            self.conv: nn.Conv2d = PaddedConv2d(shape, padding, bias=bias)
        else:
            self.conv = PeriodicConv2d(*shape, bias=bias)
        if norm != "none":
            self.norm = _NORMS[norm](out_channels)
        self.activation = _ACTIVATIONS[activation]()
