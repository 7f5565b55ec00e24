"""The mutual information of activations with what goes in and comes out (KSG)."""

from lazy_loader import attach

__getattr__, __dir__, __all__ = attach(__name__, submod_attrs={"ksg": ["mutual_information"]})
