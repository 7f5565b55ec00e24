"""The networks that E1 compares, and the gate that requires equal sizes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"forecasting.building": ["build_model"]}
)
