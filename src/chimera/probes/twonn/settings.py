"""Section `probes.twonn` of params.yaml."""

from typing import Annotated

from msgspec import Meta

from chimera.interface.errors import InputError
from chimera.interface.settings import Probability, Settings, Share
from chimera.probes.common.sampling import MIN_SAMPLES


class TwonnSettings(Settings, frozen=True):
    """Settings of the intrinsic dimension, explained beside their values in conf/config.yaml.

    Scales are the ranks n of the GRIDE curve above n = 1, which is the mle.
    """

    threshold: Share
    largest_samples: Annotated[int, Meta(ge=MIN_SAMPLES, lt=1 << 31)]
    discard_fraction: Probability
    scales: tuple[Annotated[int, Meta(ge=2, le=(MIN_SAMPLES - 1) // 2)], ...]
    bootstraps: Annotated[int, Meta(ge=2, le=10**4)]

    def __post_init__(self) -> None:
        """Refuse scales that do not rise, and none."""
        if not self.scales or list(self.scales) != sorted(set(self.scales)):
            raise InputError(f"scales is {list(self.scales)}, expected rising ranks")
