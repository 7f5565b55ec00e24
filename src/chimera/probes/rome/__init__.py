"""Closed-form edits of one convolution (ROME)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"edit": ["rank_one_update"]}
)
