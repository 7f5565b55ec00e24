"""The U-shaped network (Ronneberger, Fischer & Brox 2015, arXiv:1505.04597) on a regular grid.

    encoder_l = block(down_l(encoder_{l-1})),         down = 2 x 2 max-pooling
    decoder_l = block([skip_l(encoder_l), up_l(decoder_{l+1})]),  up = 2 x 2 transposed convolution

for levels l = 0 .. L-1, the coarsest encoder being the bottleneck, and a 1 x 1 head. A block of the
baseline is two convolutions. On a periodic grid the network commutes with shifts by 2^(L-1) cells.
A grid that 2^(L-1) does not divide is enlarged to the next one, and the output cropped.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Annotated, Any

import torch
from msgspec import Meta
from torch import Tensor, nn
from torch.nn import functional

from chimera.interface.errors import InputError
from chimera.interface.settings import Count, Probability, Settings
from chimera.models.networks.layers import CENTRING_NORMS, Activation, ConvUnit, Dropout, Norm
from chimera.models.networks.padding import Padding, enlarge
from chimera.models.networks.site import Site

Unit = Callable[[int, int], ConvUnit]


class UNetSettings(Settings, frozen=True):
    """The settings of a UNet."""

    input_shape: tuple[Count, Count, Count]  # (C, H, W) of a sample
    channels: Annotated[tuple[Count, ...], Meta(min_length=2)]  # of each level, the finest first
    kernel_size: Count  # odd
    use_skip: bool  # whether each encoder block also feeds the decoder block of its level
    norm: Norm  # after every convolution of a block
    activation: Activation  # after every norm
    dropout: Probability  # that a channel of a block's output is zeroed in training
    padding: tuple[Padding, Padding] = ("circular", "circular")  # along H and W
    out_channels: Count | None = None  # of the output; by default those of the input

    def enlarged(self, shape: Sequence[int]) -> tuple[int, int]:
        """Return the next multiples of 2^(L-1) from H and W."""
        multiple = 1 << (len(self.channels) - 1)
        H, W = (-(-size // multiple) * multiple for size in shape)
        return H, W

    @property
    def grid(self) -> tuple[int, int]:
        """H and W on which the network runs."""
        return self.enlarged(self.input_shape[1:])

    def __post_init__(self) -> None:
        """Check that the coarsest grid is large enough for the kernel and the number of levels."""
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
    """The baseline's block: two units in sequence."""

    def __init__(self, in_channels: int, out_channels: int, unit: Unit) -> None:
        super().__init__()
        self.first = unit(in_channels, out_channels)
        self.second = unit(out_channels, out_channels)

    def forward(self, z: Tensor) -> Tensor:
        """Apply both units."""
        return self.second(self.first(z))


class UNet(nn.Module):
    """From (B, C_in, H, W) to (B, C_out, H, W).

    Its sites, for levels l: the outputs of the blocks `encoder{l}`, `bottleneck`, `decoder{l}`; the
    edges `down{l}` (pooled, into level l + 1), `skip{l}` and `up{l}` (into `decoder{l}`). Weights
    and dropout draw from torch's default generator; weights are channels-last, fastest to convolve.
    """

    Settings: type[UNetSettings] = UNetSettings

    def __init__(self, settings: UNetSettings) -> None:
        super().__init__()
        self.settings = settings
        shared = ("kernel_size", "norm", "activation", "padding")
        unit = partial(ConvUnit, **{name: getattr(settings, name) for name in shared})
        # A bias before a norm that subtracts each channel's mean has no effect, see ConvUnit.
        widths, has_bias = settings.channels, settings.norm not in CENTRING_NORMS
        for level, (above, width) in enumerate(pairwise((settings.input_shape[0], *widths[:-1]))):
            self.add_module(f"encoder{level}", self.make_block(above, width, unit))
            if settings.use_skip:
                self.add_module(f"skip{level}", Site())
            self.add_module(f"down{level}", Site())
        self.bottleneck = self.make_block(widths[-2], widths[-1], unit)
        for level in reversed(range(len(widths) - 1)):
            width = widths[level]
            expand = nn.ConvTranspose2d(widths[level + 1], width, 2, stride=2, bias=has_bias)
            self.add_module(f"expand{level}", expand)
            self.add_module(f"up{level}", Site())
            merged = 2 * width if settings.use_skip else width
            self.add_module(f"decoder{level}", self.make_block(merged, width, unit))
        out_channels = settings.out_channels or settings.input_shape[0]
        self.head = nn.Conv2d(widths[0], out_channels, kernel_size=1)
        self.dropout = Dropout(settings.dropout)
        for parameter in self.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def make_block(self, in_channels: int, out_channels: int, unit: Unit) -> nn.Module:
        """Return a block of units from (B, C_in, H, W) to (B, C_out, H, W)."""
        return DoubleConv(in_channels, out_channels, unit)

    def pass_arguments(self) -> tuple[Any, ...]:
        """Return the further arguments of every block in one forward pass."""
        return ()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C_out, H, W)."""
        grid = self.settings.enlarged(x.shape[2:])
        if grid == x.shape[2:]:
            return self._forward(x)
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
