"""Section `probes.patching` of params.yaml."""

from typing import Annotated

from msgspec import Meta

from chimera.interface.settings import Settings


class PatchingSettings(Settings, frozen=True):
    """Number of pairs of samples for each kind of donor and recipient."""

    pairs: Annotated[int, Meta(ge=2, le=10**4)]
