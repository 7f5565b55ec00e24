"""A network from outside the package: convolutions on two grids, one 4 times coarser."""

import torch
from torch import nn
from torch.nn import functional


def chain(channels, width, depth):
    """Return periodic 3 x 3 convolutions to `width` channels, each with a gelu."""
    layers = []
    for _ in range(depth):
        layers += [nn.Conv2d(channels, width, 3, padding=1, padding_mode="circular"), nn.GELU()]
        channels = width
    return nn.Sequential(*layers)


class TwoGrids(nn.Module):
    """From frames (B, C, H, W), sides of multiples of 4, to increments (B, C_out, H, W).

    `input_shape` (C, H, W) and `out_channels` are given by the data, the rest by the settings.
    """

    def __init__(self, input_shape, out_channels, fine, coarse, depth):
        super().__init__()
        self.fine = chain(input_shape[0], fine, depth)
        self.coarse = chain(input_shape[0], coarse, depth)
        self.head = nn.Conv2d(fine + coarse, out_channels, 1)

    def forward(self, x):
        """Add what both grids see."""
        fine = self.fine(x)
        coarse = self.coarse(functional.avg_pool2d(x, 4))
        coarse = functional.interpolate(coarse, scale_factor=4, mode="nearest")
        return self.head(torch.cat([fine, coarse], dim=1))
