"""Chimera: a preregistered comparison of FractalUNet and UNet on two-dimensional flow."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"forecasts.forecaster": ["load"]}
)
