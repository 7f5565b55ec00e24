"""Section `probes.spectra` of params.yaml."""

from typing import Annotated

from msgspec import Meta

from chimera.interface.errors import InputError
from chimera.interface.settings import Count, Index, Settings


class SpectraSettings(Settings, frozen=True):
    """Frames of the rollout in the table, and the first and last shell of the slope's fit."""

    frames: Annotated[tuple[Count, ...], Meta(min_length=1)]
    slope_shells: tuple[Index, Index]

    def __post_init__(self) -> None:
        """Refuse frames that do not rise, and too few shells for a slope."""
        if list(self.frames) != sorted(set(self.frames)):
            raise InputError(f"frames is {list(self.frames)}, expected rising frames")
        first, last = self.slope_shells
        if not 1 <= first <= last - 2:
            raise InputError(
                f"slope_shells is {list(self.slope_shells)}, expected three or more from 1 on"
            )
