"""The dilated residual network (Stachenfeld et al. 2022, arXiv:2112.15275, section 3 and figure 2).

    z_0 = conv(x),    z_{b+1} = z_b + (conv_1 o relu o ... o conv_1 o relu)(z_b),    y = conv(z_B)

where the convolutions of a block are dilated by 1, 2, 4, 8, 4, 2, 1. All are 3 x 3 on the grid of
the data, so that a weight costs one multiply-accumulate for each of the H W cells: no width has as
many parameters and MACs as a network that computes on coarser grids, too.
"""

from torch import Tensor, nn

from chimera.interface.errors import InputError
from chimera.interface.settings import Count, Settings
from chimera.models.networks.padding import Padding
from chimera.models.networks.site import Site
from chimera.models.networks.stencil import make_stencil

DILATIONS = (1, 2, 4, 8, 4, 2, 1)


class DilatedResNetSettings(Settings, frozen=True):
    """The settings of a dilated residual network."""

    input_shape: tuple[Count, Count, Count]  # (C, H, W) of a sample
    width: Count  # channels of every layer; 48 in the paper
    blocks: Count  # 4 in the paper
    padding: tuple[Padding, Padding] = ("circular", "circular")  # along H and W
    out_channels: Count | None = None  # of the output; by default those of the input

    def __post_init__(self) -> None:
        """Check that the grid is as large as the farthest neighbour."""
        if min(self.input_shape[1:]) < max(DILATIONS):
            least = f"sides of {max(DILATIONS)} cells or more, the largest dilation"
            raise InputError(f"input_shape is {list(self.input_shape)}, expected {least}")


class DilatedBlock(Site):
    """One residual block."""

    def __init__(self, width: int, padding: tuple[Padding, Padding]) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        for dilation in DILATIONS:
            self.layers.append(nn.ReLU())
            self.layers.append(make_stencil(width, width, 3, padding, dilation=dilation))

    def forward(self, z: Tensor) -> Tensor:
        """Add what the convolutions make of (B, C, H, W)."""
        return z + self.layers(z)


class DilatedResNet(nn.Module):
    """From (B, C_in, H, W) to (B, C_out, H, W); its sites are the blocks `blocks.{b}`."""

    Settings = DilatedResNetSettings

    def __init__(self, settings: DilatedResNetSettings) -> None:
        super().__init__()
        fields, width, padding = settings.input_shape[0], settings.width, settings.padding
        self.encoder = make_stencil(fields, width, 3, padding)
        self.blocks = nn.Sequential(*(DilatedBlock(width, padding) for _ in range(settings.blocks)))
        self.decoder = make_stencil(width, settings.out_channels or fields, 3, padding)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C_out, H, W)."""
        return self.decoder(self.blocks(self.encoder(x)))
