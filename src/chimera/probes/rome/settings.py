"""Section `probes.rome` of params.yaml."""

from typing import Annotated

from msgspec import Meta

from chimera.interface.settings import Repetitions, Settings, Share
from chimera.probes.rome.convolutions import MIN_KEYS_PER_DIMENSION

Weight = Annotated[float, Meta(ge=0, le=1e6)]


class RomeSettings(Settings, frozen=True, kw_only=True):
    """Settings of an edit, its layers and its samples.

    Attributes:
        num_keys: Number n of keys, and the rank of the edit.
        preservation: rho, the weight of the preservation term.
        softness: lambda.
        iterations: L-BFGS iterations of each method.
        keys_per_dimension: Maximum number of keys for C, per patch dimension.
        pairs: Number of pairs of an IND and an OOD sample whose patching effects choose the layer.
        threshold: Autocorrelation below which frames count as independent.
        layers: Largest number of layers that are edited.
        axes: Largest number of OOD axes whose worst forecast is repaired, evenly spaced.
    """

    num_keys: Repetitions = 8
    preservation: Weight = 1.0
    softness: Weight = 0.0
    iterations: Repetitions = 20
    keys_per_dimension: Annotated[int, Meta(ge=MIN_KEYS_PER_DIMENSION, le=10**6)] = 100
    pairs: Repetitions
    threshold: Share
    layers: Repetitions = 3
    axes: Repetitions = 2
