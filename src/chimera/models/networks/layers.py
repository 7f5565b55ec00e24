"""The unit of every block: z -> activation(norm(conv(z)))."""

import math
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from chimera.models.networks.padding import PaddedConv2d, Padding
from chimera.models.networks.periodic import PeriodicConv2d

Norm = Literal["group", "batch", "instance", "none"]
Activation = Literal["gelu", "silu", "relu"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "silu": nn.SiLU, "relu": nn.ReLU}


class GroupNorm(nn.GroupNorm):
    """Group norm (Wu & He 2018) of one group: all channels and cells of a sample together.

    One group suits any number of channels and keeps the ratio of their amplitudes.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, H, W).

        torch's kernel runs along the channels of a cell, which takes three times as long when they
        are few. To a norm over all of them, neighbouring cells of a row may as well be channels.
        """
        B, C, H, W = x.shape
        cells = math.gcd(W, 8) if C < 16 else 1
        wide = x.permute(0, 2, 3, 1).reshape(B, H, W // cells, cells * C).permute(0, 3, 1, 2)
        weight, bias = self.weight.repeat(cells), self.bias.repeat(cells)
        y = functional.group_norm(wide, 1, weight, bias, self.eps)
        return y.permute(0, 2, 3, 1).reshape(B, H, W, C).permute(0, 3, 1, 2)


class Dropout(nn.Dropout2d):
    """Drops whole channels of a sample in training and scales up the others (Tompson et al. 2015).

    Attributes:
        share: Rank and number of the processes that divide each batch in equal, consecutive parts.
            Each draws the mask of the whole batch and takes its part, so that no division of the
            batch changes a mask or the state of the random generator.
    """

    share: tuple[int, int] = (0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Drop channels of (B, C, H, W)."""
        rank, size = self.share
        if size == 1 or not self.training or self.p == 0:
            return super().forward(x)
        B, C = x.shape[:2]
        kept = x.new_empty((size * B, C, 1, 1)).bernoulli_(1 - self.p).div_(1 - self.p)
        return x * kept[rank * B : (rank + 1) * B]


def norm_layer(norm: Norm, channels: int) -> nn.Module | None:
    """Make the norm of that name, with a scale and shift per channel; None for `none`."""
    if norm == "group":
        return GroupNorm(channels)
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    return None


class ConvUnit(nn.Sequential):
    """z (B, C_in, H, W) -> activation(norm(conv(z))) (B, C_out, H, W).

    Args:
        in_channels: C_in.
        out_channels: C_out.
        kernel_size: Odd width of the square kernel.
        norm: Of the output, with a scale and shift per channel; `none` leaves it out.
        activation: After the norm.
        padding: `circular` or `replicate` along H and W.
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
        if "replicate" in padding:
            self.conv: nn.Conv2d = PaddedConv2d(in_channels, out_channels, kernel_size, padding)
        else:
            self.conv = PeriodicConv2d(in_channels, out_channels, kernel_size)
        layer = norm_layer(norm, out_channels)
        if layer is not None:
            self.norm = layer
        self.activation = _ACTIVATIONS[activation]()
