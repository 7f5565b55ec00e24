"""The networks by their `type` in params.yaml."""

from collections.abc import Mapping
from typing import Any

from chimera.interface.errors import InputError

REGISTERED = {
    "unet": "chimera.models.networks.unet.UNet",
    "fractal_unet": "chimera.models.networks.fractal_unet.FractalUNet",
}


def network_path(settings: Mapping[str, Any], key: str = "model") -> str:
    """Return the dotted name of the network's class."""
    name = settings.get("type") if isinstance(settings, Mapping) else None
    if name not in REGISTERED:
        raise InputError(f"{key}.type is {name!r}, expected one of {', '.join(REGISTERED)}")
    return REGISTERED[name]
