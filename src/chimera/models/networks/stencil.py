"""Convolutions of any odd kernel, dilation and number of groups, padded axis by axis."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from chimera.models.networks.padding import PaddedConv2d, extend


class _Stencil(PaddedConv2d):
    """A convolution of which an axis at least is not periodic."""

    def __init__(self, shape: tuple[int, int, int], padding: Sequence[str], **kind: Any) -> None:
        nn.Conv2d.__init__(self, *shape, **kind)
        self.kinds = tuple(padding)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C_in, H, W) to (B, C_out, H, W)."""
        for dim, kind in enumerate(self.kinds, start=2):
            p = self.dilation[dim - 2] * (self.kernel_size[dim - 2] // 2)
            x = extend(x, dim, p, p, kind)
        dilation, groups = self.dilation, self.groups
        return functional.conv2d(x, self.weight, self.bias, dilation=dilation, groups=groups)


def make_stencil(
    in_channels: int, out_channels: int, kernel_size: int, padding: Sequence[str], **kind: Any
) -> nn.Conv2d:
    """Return a convolution of (B, C_in, H, W) to (B, C_out, H, W).

    Args:
        in_channels: C_in.
        out_channels: C_out.
        kernel_size: Of both axes, odd.
        padding: `circular` or `replicate` along H and W.
        kind: `dilation` and `groups`, as of torch's `Conv2d`.
    """
    shape = (in_channels, out_channels, kernel_size)
    if "replicate" in padding:
        return _Stencil(shape, padding, **kind)
    reach = kind.get("dilation", 1) * (kernel_size // 2)
    return nn.Conv2d(*shape, padding=reach, padding_mode="circular", **kind)
