"""Section `probes.ib` of params.yaml."""

from typing import Annotated

from msgspec import Meta

from chimera.interface.settings import Repetitions, Settings, Share
from chimera.probes.common.sampling import MIN_SAMPLES

MAX_SHUFFLED_NEIGHBORS = 5


class IbSettings(Settings, frozen=True):
    """Settings of the mutual information, explained beside their values in conf/config.yaml.

    Components are d, neighbours k, shuffles B, which take O(n^2) time and memory.
    """

    threshold: Share
    largest_samples: Annotated[int, Meta(ge=MIN_SAMPLES, le=10000)]
    components: Annotated[int, Meta(ge=1, le=3)]
    noise: Annotated[float, Meta(gt=0, le=100)]
    num_neighbors: Annotated[int, Meta(ge=1, le=MAX_SHUFFLED_NEIGHBORS)]
    shuffles: Annotated[int, Meta(ge=100, le=10**4)]
    controls: Repetitions
    tolerance: Share
