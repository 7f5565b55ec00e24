"""Section `probes.rome` of params.yaml."""

from typing import Annotated

from msgspec import Meta

from chimera.interface.settings import Repetitions, Settings, Share
from chimera.probes.rome.convolutions import MIN_KEYS_PER_DIMENSION

Weight = Annotated[float, Meta(ge=0, le=1e6)]


class RomeSettings(Settings, frozen=True, kw_only=True):
    """Settings of the edits, explained beside their values in conf/config.yaml.

    The keys of an edit are n, the rank of dW; preservation is rho, softness lambda.
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
