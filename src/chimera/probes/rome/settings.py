"""Section `probes.rome` of params.yaml."""

from typing import Annotated

from msgspec import Meta

from chimera.interface.settings import Repetitions, Settings, Share
from chimera.probes.rome.convolutions import MIN_KEYS_PER_DIMENSION

Weight = Annotated[float, Meta(ge=0, le=1e6)]


class EditSettings(Settings, frozen=True):
    """How an edit is made.

    Attributes:
        num_keys: Keys n, and the rank of the edit.
        preservation: rho, the weight of the preservation term.
        softness: lambda.
        iterations: Of L-BFGS for V*.
        keys_per_dimension: Most keys, per patch dimension, that C is made of.
    """

    num_keys: Repetitions = 8
    preservation: Weight = 1.0
    softness: Weight = 0.0
    iterations: Repetitions = 20
    keys_per_dimension: Annotated[int, Meta(ge=MIN_KEYS_PER_DIMENSION, le=10**6)] = 100


class RomeSettings(EditSettings, frozen=True, kw_only=True):
    """How an edit is made, and what it is tried on.

    Attributes:
        pairs: Pairs of an IND and an OOD sample whose patching effects choose the layer.
        threshold: Autocorrelation below which frames count as independent.
    """

    pairs: Repetitions
    threshold: Share
