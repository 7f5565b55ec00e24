"""The intrinsic dimension of activations (TwoNN)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"estimator": ["intrinsic_dimension"]}
)
