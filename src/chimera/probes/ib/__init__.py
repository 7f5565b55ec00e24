"""The mutual information of activations with what goes in and comes out (KSG)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"ksg": ["mutual_information"]}
)
