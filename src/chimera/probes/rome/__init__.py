"""Closed-form edits of one convolution (ROME)."""

from lazy_loader import attach

__getattr__, __dir__, __all__ = attach(__name__, submod_attrs={"edit": ["rank_one_update"]})
