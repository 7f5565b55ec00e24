"""Section `probes.ib` of params.yaml."""

from typing import Annotated

from msgspec import Meta

from chimera.interface.settings import Repetitions, Settings, Share
from chimera.probes.common.sampling import MIN_SAMPLES

MAX_SHUFFLED_NEIGHBORS = 5


class IbSettings(Settings, frozen=True):
    """Settings of the mutual information.

    Attributes:
        threshold: Autocorrelation below which samples count as independent.
        largest_samples: Maximum number of samples of an axis; shuffles take O(n^2) time and memory.
        components: Principal components d of each side.
        noise: Standard deviation of the noise added to each component of T, relative to its own.
        num_neighbors: k.
        shuffles: B.
        controls: Draws of the positive control.
        tolerance: Maximum relative error of the control.
    """

    threshold: Share
    largest_samples: Annotated[int, Meta(ge=MIN_SAMPLES, le=10000)]
    components: Annotated[int, Meta(ge=1, le=3)]
    noise: Annotated[float, Meta(gt=0, le=100)]
    num_neighbors: Annotated[int, Meta(ge=1, le=MAX_SHUFFLED_NEIGHBORS)]
    shuffles: Annotated[int, Meta(ge=100, le=10**4)]
    controls: Repetitions
    tolerance: Share
