"""The U-Net of ConvNeXt blocks of The Well's benchmark (Ohana et al. 2024, arXiv:2412.00568).

    block(z) = z + gamma W_2 gelu(W_1 norm(depthwise(z)))                (Liu et al. 2022, figure 4)

with a 7 x 7 depthwise convolution, a layer norm over channels, 1 x 1 convolutions to four times as
many channels and back, and a scale of each channel that begins at 1e-6. On the way down, blocks are
followed by a norm and a 2 x 2 convolution of stride 2; on the way up, from level L to 1, by a norm
and its transposed one. What entered a level 1 .. L - 1 on the way down is concatenated to what
enters it on the way up, and brought to its width by a 1 x 1 convolution. The resampling norm
divides by the length of the channels' vector. As The Well's `UNetConvNext`, but for the padding,
which is zero there, and for the biases of resampling norms, which it never uses; its channels
double from level to level.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any

import torch
from msgspec import Meta
from torch import Tensor, nn
from torch.nn import functional

from chimera.interface.errors import InputError
from chimera.interface.settings import Count, Settings
from chimera.models.networks.padding import Padding
from chimera.models.networks.site import Site
from chimera.models.networks.stencil import make_stencil

_EPSILON = 1e-6


class ConvNeXtUNetSettings(Settings, frozen=True):
    """The settings of a U-Net of ConvNeXt blocks."""

    input_shape: tuple[Count, Count, Count]  # (C, H, W) of a sample
    channels: Annotated[tuple[Count, ...], Meta(min_length=2)]  # of levels 0 .. L, the finest first
    blocks: Count  # of each level, down and up
    neck_blocks: Count  # of the coarsest level
    padding: tuple[Padding, Padding] = ("circular", "circular")  # along H and W
    out_channels: Count | None = None  # of the output; by default those of the input

    def __post_init__(self) -> None:
        """Check that the grid can be halved, and that the coarsest is no smaller than a reach."""
        multiple = 1 << (len(self.channels) - 1)
        for side in self.input_shape[1:]:
            if side % multiple or side < 3 * multiple:
                sides = f"multiples of {multiple} of at least {3 * multiple}, or fewer levels"
                raise InputError(f"input_shape is {list(self.input_shape)}, expected {sides}")


class LayerNorm(nn.LayerNorm):
    """Layer norm over the channels of each cell of (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=_EPSILON)

    def forward(self, z: Tensor) -> Tensor:
        """Normalise (B, C, H, W)."""
        return super().forward(z.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class UnitNorm(nn.Module):
    """Divides the vector of channels of each cell by its length, and scales each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, z: Tensor) -> Tensor:
        """Normalise (B, C, H, W)."""
        return functional.normalize(z, dim=1, eps=_EPSILON) * self.weight


class ConvNeXtBlock(nn.Module):
    """One residual block."""

    def __init__(self, channels: int, padding: Sequence[str]) -> None:
        super().__init__()
        self.depthwise = make_stencil(channels, channels, 7, padding, groups=channels)
        self.norm = LayerNorm(channels)
        self.widen = nn.Conv2d(channels, 4 * channels, 1)
        self.narrow = nn.Conv2d(4 * channels, channels, 1)
        self.gamma = nn.Parameter(torch.full((channels, 1, 1), 1e-6))

    def forward(self, z: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H, W)."""
        widened = functional.gelu(self.widen(self.norm(self.depthwise(z))))
        return z + self.gamma * self.narrow(widened)


class ConvNeXtLevel(Site):
    """The blocks of a level; its output is that of the last."""

    def __init__(self, channels: int, blocks: int, padding: Sequence[str]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(ConvNeXtBlock(channels, padding) for _ in range(blocks)))

    def forward(self, z: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H, W)."""
        return self.blocks(z)


class ConvNeXtUNet(nn.Module):
    """The network; its sites: levels `encoder{l}`, `bottleneck`, `decoder{l}`, edges `skip{l}`."""

    Settings = ConvNeXtUNetSettings

    def __init__(self, settings: ConvNeXtUNetSettings) -> None:
        super().__init__()
        fields, widths, padding = settings.input_shape[0], settings.channels, settings.padding
        self.coarsest = len(widths) - 1
        self.stem = make_stencil(fields, widths[0], 3, padding)
        kind: dict[str, Any] = {"kernel_size": 2, "stride": 2}
        for level, (fine, coarse) in enumerate(pairwise(widths)):
            self.add_module(f"encoder{level}", ConvNeXtLevel(fine, settings.blocks, padding))
            down = nn.Sequential(UnitNorm(fine), nn.Conv2d(fine, coarse, **kind))
            self.add_module(f"down{level}", down)
        self.bottleneck = ConvNeXtLevel(widths[-1], settings.neck_blocks, padding)
        for level in range(self.coarsest, 0, -1):
            width = widths[level]
            if level < self.coarsest:
                self.add_module(f"skip{level}", Site())
                self.add_module(f"merge{level}", nn.Conv2d(2 * width, width, 1))
            self.add_module(f"decoder{level}", ConvNeXtLevel(width, settings.blocks, padding))
            refine = nn.ConvTranspose2d(width, widths[level - 1], **kind)
            self.add_module(f"up{level}", nn.Sequential(UnitNorm(width), refine))
        self.head = make_stencil(widths[0], settings.out_channels or fields, 3, padding)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C_out, H, W)."""
        at = self.get_submodule
        z, entered = self.stem(x), []
        for level in range(self.coarsest):
            entered.append(z)
            z = at(f"down{level}")(at(f"encoder{level}")(z))
        z = self.bottleneck(z)
        for level in range(self.coarsest, 0, -1):
            if level < self.coarsest:
                z = torch.cat([z, at(f"skip{level}")(entered[level])], dim=1)
                z = at(f"merge{level}")(z)
            z = at(f"up{level}")(at(f"decoder{level}")(z))
        return self.head(z)
