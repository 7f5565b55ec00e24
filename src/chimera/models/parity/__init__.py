"""Equal size of networks; `count`, `live` and `solve_widths` are public."""

from chimera.models.parity.counting import count
from chimera.models.parity.liveness import live
from chimera.models.parity.width_search import solve_widths

__all__ = ["count", "live", "solve_widths"]
