"""Section `probes.rome` of params.yaml."""

from typing import Annotated

from msgspec import Meta

from chimera.interface.settings import Count, NotNegative, Settings, Share
from chimera.probes.rome.convolutions import MIN_KEYS_PER_DIMENSION


class EditSettings(Settings, frozen=True):
    """How an edit is made.

    Attributes:
        num_keys: Keys n, and the rank of the edit.
        preservation: rho, the weight of the preservation term.
        softness: lambda.
        iterations: Of L-BFGS for V*.
        keys_per_dimension: Most keys, per patch dimension, that C is made of.
    """

    num_keys: Count = 8
    preservation: NotNegative = 1.0
    softness: NotNegative = 0.0
    iterations: Count = 20
    keys_per_dimension: Annotated[int, Meta(ge=MIN_KEYS_PER_DIMENSION)] = 100


class RomeSettings(EditSettings, frozen=True, kw_only=True):
    """How an edit is made, and what it is tried on.

    Attributes:
        pairs: Pairs of an IND and an OOD sample whose patching effects choose the layer.
        threshold: Autocorrelation below which frames count as independent.
    """

    pairs: Count
    threshold: Share
