"""The classes of networks: those registered here, by name, and any other by its import path."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    if isinstance(name, str):
        path = REGISTERED.get(name, name)
        if "." in path and all(part.isidentifier() for part in path.split(".")):
            return path
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
    with reporting(f"{key}.type is {settings['type']!r}, expected a class that can be imported"):
        return getattr(import_module(module), name)


@contextmanager
def reporting(fault: str) -> Iterator[None]:
    """Raise InputError, `fault` and the reason, when the code of another fails or exits."""
    try:
        yield
    except (Exception, SystemExit) as error:
        kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        raise InputError(f"{fault}: {kind}{' '.join(str(error).split())}") from error
