"""Convolutions of any odd kernel, dilation and number of groups, padded axis by axis."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from chimera.models.networks.padding import PaddedConv2d


def make_stencil(
    in_channels: int, out_channels: int, kernel_size: int, padding: Sequence[str], **kind: Any
) -> nn.Conv2d:
    """Return a convolution of (B, C_in, H, W) to (B, C_out, H, W) with an odd kernel.

    `padding` is `circular` or `replicate` along H and W; `kind` is torch's `dilation` and `groups`.
    """
    shape = (in_channels, out_channels, kernel_size)
    if "replicate" in padding:
        return PaddedConv2d(shape, padding, **kind)
    reach = kind.get("dilation", 1) * (kernel_size // 2)
    return nn.Conv2d(*shape, padding=reach, padding_mode="circular", **kind)
