"""Spectra of rollouts and of activations."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"spectrum": ["energy_spectrum"]}
)
