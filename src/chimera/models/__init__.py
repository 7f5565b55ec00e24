"""Networks, how they are built, and the gate that requires equal sizes."""

from lazy_loader import attach

__getattr__, __dir__, __all__ = attach(
    __name__, submod_attrs={"forecasting.building": ["build_model"]}
)
