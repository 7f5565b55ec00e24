"""The U-shaped network (Ronneberger, Fischer & Brox 2015, arXiv:1505.04597) on a regular grid.

    encoder_l = block(down_l(encoder_{l-1})),         down = 2 x 2 max-pooling
    decoder_l = block([skip_l(encoder_l), up_l(decoder_{l+1})]),  up = 2 x 2 transposed convolution

for levels l = 0 .. L-1, the coarsest encoder being the bottleneck, and a 1 x 1 head. A block of the
baseline is two convolutions; a `fractal_unet` has f_C (chimera.models.fractal) in its place.
On a periodic grid every step commutes with shifts by 2^(L-1) cells. A grid that L - 1 halvings do
not divide is first enlarged to the next that they do, and the output cropped.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from chimera.models.fractal import DropPath, FractalBlock, draw_drop_path
from chimera.models.layers import ConvUnit, Dropout
from chimera.models.padding import enlarge
from chimera.models.settings import ModelSettings
from chimera.models.site import Site


class DoubleConv(Site):
    """The baseline's block: two units in sequence, (B, C_in, H, W) to (B, C_out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, settings: ModelSettings) -> None:
        super().__init__()
        self.first = ConvUnit(in_channels, out_channels, settings)
        self.second = ConvUnit(out_channels, out_channels, settings)

    def forward(self, z: Tensor) -> Tensor:
        """Apply both units."""
        return self.second(self.first(z))


class UNet(nn.Module):
    """A UNet or, by its settings, a FractalUNet: (B, C, H, W) to (B, C, H, W).

    Its sites, for levels l: the outputs of the blocks `encoder{l}`, `bottleneck`, `decoder{l}`; the
    edges `down{l}` (pooled, into level l + 1), `skip{l}` and `up{l}` (into `decoder{l}`); and the
    edges `<block>.column{c}` of a fractal block.

    Weights are drawn from torch's default generator; so are dropout and drop-path, in training.
    They lie in channels-last order, in which convolutions are fastest.

    Args:
        settings: checked settings.

    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.settings = settings
        widths = settings.channels
        field_channels = settings.input_shape[0]
        block = DoubleConv if settings.type == "unet" else FractalBlock
        for level, (above, width) in enumerate(pairwise((field_channels, *widths[:-1]))):
            self.add_module(f"encoder{level}", block(above, width, settings))
            if settings.use_skip:
                self.add_module(f"skip{level}", Site())
            self.add_module(f"down{level}", Site())
        self.bottleneck = block(widths[-2], widths[-1], settings)
        for level in reversed(range(len(widths) - 1)):
            width = widths[level]
            expand = nn.ConvTranspose2d(widths[level + 1], width, kernel_size=2, stride=2)
            self.add_module(f"expand{level}", expand)
            self.add_module(f"up{level}", Site())
            merged = 2 * width if settings.use_skip else width
            self.add_module(f"decoder{level}", block(merged, width, settings))
        self.head = nn.Conv2d(widths[0], field_channels, kernel_size=1)
        self.dropout = Dropout(settings.dropout)
        for parameter in self.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def sites(self) -> tuple[str, ...]:
        """Names of all sites in network order, a block before its columns."""
        return tuple(name for name, module in self.named_modules() if isinstance(module, Site))

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
        at = self.get_submodule
        drop_path = self._drop_path()

        def block(name: str, z: Tensor) -> Tensor:
            z = at(name)(z) if drop_path is None else at(name)(z, drop_path)
            return self.dropout(z)

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

    def _drop_path(self) -> DropPath | None:
        if not (self.training and self.settings.drop_path):
            return None
        return draw_drop_path(self.settings.columns, self.settings.drop_path)
