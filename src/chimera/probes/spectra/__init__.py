"""Spectra of rollouts and of activations."""

from lazy_loader import attach

__getattr__, __dir__, __all__ = attach(__name__, submod_attrs={"spectrum": ["energy_spectrum"]})
