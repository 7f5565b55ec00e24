"""The U-shaped network (Ronneberger, Fischer & Brox 2015, arXiv:1505.04597) on a regular grid.

    encoder_l = block(down_l(encoder_{l-1})),         down = 2 x 2 max-pooling
    decoder_l = block([skip_l(encoder_l), up_l(decoder_{l+1})]),  up = 2 x 2 transposed convolution

for levels l = 0 .. L-1, the coarsest encoder being the bottleneck, and a 1 x 1 head. A block of the
baseline is two convolutions.
On a periodic grid every step commutes with shifts by 2^(L-1) cells. A grid that L - 1 halvings do
not divide is first enlarged to the next that they do, and the output cropped.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Annotated, Any

import torch
from msgspec import Meta
from torch import Tensor, nn
from torch.nn import functional

from chimera.interface.errors import InputError
from chimera.interface.settings import Count, Probability, Settings
from chimera.models.networks.layers import Activation, ConvUnit, Dropout, Norm
from chimera.models.networks.padding import Padding, enlarge
from chimera.models.networks.site import Site

Unit = Callable[[int, int], ConvUnit]


class UNetSettings(Settings, frozen=True):
    """The settings of a UNet.

    Attributes:
        input_shape: (C, H, W) of one sample; the output has the same shape.
        channels: Width of each level, the finest first; H and W halve from one to the next.
        kernel_size: Odd width of the square kernels of every block.
        use_skip: Whether each encoder block also feeds the decoder block of its level.
        norm: After every convolution of a block.
        activation: After every norm.
        dropout: Probability that a channel of a block's output is zeroed in training.
        padding: How a field continues beyond its edges along H and W: `circular` where the flow is
            periodic, `replicate` where it is not.
    """

    input_shape: tuple[Count, Count, Count]
    channels: Annotated[tuple[Count, ...], Meta(min_length=2)]
    kernel_size: Count
    use_skip: bool
    norm: Norm
    activation: Activation
    dropout: Probability
    padding: tuple[Padding, Padding] = ("circular", "circular")

    @property
    def grid(self) -> tuple[int, int]:
        """H and W as they are run: the next multiples of 2^(L-1)."""
        multiple = 1 << (len(self.channels) - 1)
        H, W = (-(-size // multiple) * multiple for size in self.input_shape[1:])
        return H, W

    @property
    def units(self) -> tuple[int, int]:
        """Convolutions of a block that take its input, and those that take its own width."""
        return 1, 1

    def __post_init__(self) -> None:
        """Refuse a kernel or a number of levels that the grid has no room for."""
        if self.kernel_size % 2 == 0:
            raise InputError(f"kernel_size is {self.kernel_size}, expected an odd number")
        coarsest = min(self.grid) >> (len(self.channels) - 1)
        for size, padded in zip(self.input_shape[1:], self.grid, strict=True):
            if padded >= 2 * size:
                raise InputError(
                    f"input_shape is {list(self.input_shape)} with a side of {size}, expected more "
                    f"than {padded // 2} or fewer levels: {len(self.channels)} levels pad it to "
                    f"{padded}"
                )
        if self.kernel_size // 2 > coarsest:
            raise InputError(
                f"kernel_size is {self.kernel_size} and reaches {self.kernel_size // 2} cells, "
                f"expected at most the {coarsest} of the coarsest grid"
            )
        if self.norm == "instance" and coarsest == 1:
            raise InputError(
                "norm is 'instance', which leaves nothing of the single cell of the coarsest grid, "
                "expected group, batch or none, or fewer levels"
            )


class DoubleConv(Site):
    """The baseline's block: two units in sequence, (B, C_in, H, W) to (B, C_out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, unit: Unit) -> None:
        super().__init__()
        self.first = unit(in_channels, out_channels)
        self.second = unit(out_channels, out_channels)

    def forward(self, z: Tensor) -> Tensor:
        """Apply both units."""
        return self.second(self.first(z))


class UNet(nn.Module):
    """From (B, C, H, W) to (B, C, H, W).

    Its sites, for levels l: the outputs of the blocks `encoder{l}`, `bottleneck`, `decoder{l}`; the
    edges `down{l}` (pooled, into level l + 1), `skip{l}` and `up{l}` (into `decoder{l}`).

    Weights and dropout draw from torch's default generator. Weights lie in channels-last order, in
    which convolutions are fastest.

    Args:
        settings: Checked settings.
    """

    Settings: type[UNetSettings] = UNetSettings

    def __init__(self, settings: UNetSettings) -> None:
        super().__init__()
        self.settings = settings
        unit = partial(
            ConvUnit,
            kernel_size=settings.kernel_size,
            norm=settings.norm,
            activation=settings.activation,
            padding=settings.padding,
        )
        widths = settings.channels
        field_channels = settings.input_shape[0]
        for level, (above, width) in enumerate(pairwise((field_channels, *widths[:-1]))):
            self.add_module(f"encoder{level}", self.make_block(above, width, unit))
            if settings.use_skip:
                self.add_module(f"skip{level}", Site())
            self.add_module(f"down{level}", Site())
        self.bottleneck = self.make_block(widths[-2], widths[-1], unit)
        for level in reversed(range(len(widths) - 1)):
            width = widths[level]
            expand = nn.ConvTranspose2d(widths[level + 1], width, kernel_size=2, stride=2)
            self.add_module(f"expand{level}", expand)
            self.add_module(f"up{level}", Site())
            merged = 2 * width if settings.use_skip else width
            self.add_module(f"decoder{level}", self.make_block(merged, width, unit))
        self.head = nn.Conv2d(widths[0], field_channels, kernel_size=1)
        self.dropout = Dropout(settings.dropout)
        for parameter in self.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def make_block(self, in_channels: int, out_channels: int, unit: Unit) -> nn.Module:
        """Return a block from (B, C_in, H, W) to (B, C_out, H, W), made of units."""
        return DoubleConv(in_channels, out_channels, unit)

    def pass_arguments(self) -> tuple[Any, ...]:
        """Return what every block of one forward pass is given beside its input."""
        return ()

    def forward(self, x: Tensor) -> Tensor:
        """Map fields (B, C, H, W) to (B, C, H, W)."""
        multiple = 1 << (len(self.settings.channels) - 1)
        H, W = x.shape[2:]
        if H % multiple == W % multiple == 0:
            return self._forward(x)
        grid = [-(-size // multiple) * multiple for size in (H, W)]
        larger, rows, columns = enlarge(x, grid, self.settings.padding)
        return self._forward(larger)[:, :, rows, columns]

    def _forward(self, x: Tensor) -> Tensor:
        at, arguments = self.get_submodule, self.pass_arguments()

        def block(name: str, z: Tensor) -> Tensor:
            return self.dropout(at(name)(z, *arguments))

        z = x.contiguous(memory_format=torch.channels_last)
        encoded = []
        for level in range(len(self.settings.channels) - 1):
            encoded.append(block(f"encoder{level}", z))
            z = at(f"down{level}")(functional.max_pool2d(encoded[-1], 2))
        z = block("bottleneck", z)
        for level, skipped in reversed(list(enumerate(encoded))):
            z = at(f"up{level}")(at(f"expand{level}")(z))
            if self.settings.use_skip:
                z = torch.cat([at(f"skip{level}")(skipped), z], dim=1)
            z = block(f"decoder{level}", z)
        return self.head(z)
