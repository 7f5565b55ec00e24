"""Section `probes.rome` of params.yaml."""

from typing import Annotated

from msgspec import Meta

from chimera.interface.settings import Count, NotNegative, Settings, Share
from chimera.probes.rome.convolutions import MIN_KEYS_PER_DIMENSION


class EditSettings(Settings, frozen=True):
    """Settings of an edit.

    Attributes:
        num_keys: Number n of keys, and the rank of the edit.
        preservation: rho, the weight of the preservation term.
        softness: lambda.
        iterations: L-BFGS iterations for V*.
        keys_per_dimension: Maximum number of keys for C, per patch dimension.
    """

    num_keys: Count = 8
    preservation: NotNegative = 1.0
    softness: NotNegative = 0.0
    iterations: Count = 20
    keys_per_dimension: Annotated[int, Meta(ge=MIN_KEYS_PER_DIMENSION)] = 100


class RomeSettings(EditSettings, frozen=True, kw_only=True):
    """Settings of an edit, its layer and its samples.

    Attributes:
        pairs: Number of pairs of an IND and an OOD sample whose patching effects choose the layer.
        threshold: Autocorrelation below which frames count as independent.
    """

    pairs: Count
    threshold: Share
