"""Chimera: a preregistered comparison of FractalUNet and UNet on two-dimensional flow."""

from importlib import import_module
from typing import Any

import chimera.interface.errors  # noqa: F401 - first, for how an interrupted import ends


def __getattr__(name: str) -> Any:
    """Import what is public when it is used: `chimera` itself loads no torch."""
    if name != "load":
        raise AttributeError(f"module 'chimera' has no attribute {name!r}")
    return import_module("chimera.forecasts.forecaster").load_forecaster


def __dir__() -> list[str]:
    """Return what is public."""
    return [*globals(), "load"]
