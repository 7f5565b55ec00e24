"""The networks that E1 compares, and the gate that makes the comparison fair."""

from collections.abc import Mapping
from typing import Any

from chimera.models.settings import ModelSettings, as_the_data
from chimera.models.site import Site
from chimera.models.unet import UNet

__all__ = ["ModelSettings", "Site", "UNet", "as_the_data", "build_model"]


def build_model(settings: Mapping[str, Any]) -> UNet:
    """Build the network that the settings describe.

    Args:
        settings: `type, input_shape, channels, kernel_size, use_skip, norm, activation, dropout`
            and, for `type: fractal_unet`, `columns, drop_path`; `padding` for a flow that is not
            periodic: see `ModelSettings`.

    Returns:
        A network from (B, C, H, W) to (B, C, H, W), weights drawn from torch's default generator.

    Raises:
        InputError: a field is missing, unknown, or has a value that cannot be used.

    """
    return UNet(ModelSettings.of(settings))
