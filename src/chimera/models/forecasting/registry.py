"""The classes of networks: those registered here, by name, and any other by its import path."""

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from chimera.interface.errors import InputError

REGISTERED = {
    "unet": "chimera.models.networks.unet.UNet",
    "fractal_unet": "chimera.models.networks.fractal_unet.FractalUNet",
    "fno": "chimera.models.networks.fno.FNO",
    "convnext_unet": "chimera.models.networks.convnext_unet.ConvNeXtUNet",
    "dilated_resnet": "chimera.models.networks.dilated_resnet.DilatedResNet",
}


def network_path(settings: Mapping[str, Any], key: str = "model") -> str:
    """Return the dotted name of the network's class."""
    name = settings.get("type") if isinstance(settings, Mapping) else None
    if name in REGISTERED:
        return REGISTERED[name]
    parts = name.split(".") if isinstance(name, str) else []
    if len(parts) > 1 and all(part.isidentifier() for part in parts):
        return ".".join(parts)
    raise InputError(
        f"{key}.type is {name!r}, expected one of {', '.join(REGISTERED)}, or the import path of a "
        f"torch.nn.Module, such as package.module.Class"
    )


def network_class(settings: Mapping[str, Any], key: str = "model") -> Any:
    """Import the network's class; InputError if there is none, or its module fails when imported.

    A module that is not registered is sought on Python's path, then in the folder of `source`.
    """
    module, _, name = network_path(settings, key).rpartition(".")
    if settings["type"] not in REGISTERED and "source" in settings:
        folder = str(Path(settings["source"]).resolve().parent)
        if folder not in sys.path:
            sys.path.append(folder)
    try:
        return getattr(import_module(module), name)
    except Exception as error:  # whatever the file of another raises
        raise InputError(
            f"{key}.type is {settings['type']!r}, expected a class that can be imported: "
            f"{type(error).__name__}: {' '.join(str(error).split())}"
        ) from error
