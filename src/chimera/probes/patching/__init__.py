"""The causal effect of sites (activation patching)."""

from chimera.probes.common.effects import recovered_effect

__all__ = ["recovered_effect"]
