"""The unit of every block: z -> activation(norm(conv(z)))."""

from torch import nn

from chimera.models.periodic import PeriodicConv2d
from chimera.models.settings import ModelSettings

_ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "silu": nn.SiLU, "relu": nn.ReLU}


def group_count(channels: int) -> int:
    """Count the groups of a group norm (Wu & He 2018): up to 8, each of 4 channels or more.

    Args:
        channels: any positive number of channels.

    Returns:
        The largest divisor of `channels` up to min(8, channels // 4), at least 1: fewer
            than 4 channels are one group.

    """
    most = max(1, min(8, channels // 4))
    return next(groups for groups in range(most, 0, -1) if channels % groups == 0)


def norm_layer(norm: str, channels: int) -> nn.Module | None:
    """Make the norm of that name, with a scale and shift per channel; None for `none`."""
    if norm == "group":
        return nn.GroupNorm(group_count(channels), channels)
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    return None


class ConvUnit(nn.Sequential):
    """z (B, C_in, H, W) -> activation(norm(conv(z))) (B, C_out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, settings: ModelSettings) -> None:
        super().__init__()
        self.conv = PeriodicConv2d(in_channels, out_channels, settings.kernel_size)
        norm = norm_layer(settings.norm, out_channels)
        if norm is not None:
            self.norm = norm
        self.activation = _ACTIVATIONS[settings.activation]()
