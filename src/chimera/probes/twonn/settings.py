"""Section `probes.twonn` of params.yaml."""

from typing import Annotated

from msgspec import Meta

from chimera.interface.settings import Probability, Settings, Share
from chimera.probes.common.sampling import MIN_SAMPLES


class TwonnSettings(Settings, frozen=True):
    """Settings of the intrinsic dimension.

    Attributes:
        threshold: Autocorrelation below which samples count as independent.
        largest_samples: Maximum number of samples of an axis.
        discard_fraction: Share of the largest ratios that the linear fit leaves out.
        scales: Neighbour ranks n of the GRIDE curve; n = 1 is the mle.
        bootstraps: Number of bootstraps over trajectories for each standard deviation.
    """

    threshold: Share
    largest_samples: Annotated[int, Meta(ge=MIN_SAMPLES, lt=1 << 31)]
    discard_fraction: Probability
    scales: tuple[Annotated[int, Meta(ge=2, le=(MIN_SAMPLES - 1) // 2)], ...]
    bootstraps: Annotated[int, Meta(ge=2, le=10**4)]
