"""Section `probes.patching` of params.yaml."""

from typing import Annotated, Literal

from msgspec import Meta

from chimera.interface.settings import Settings

Factor = Literal["phase", "wavenumber", "amplitude", "viscosity", "vortex", "band"]


class PatchingSettings(Settings, frozen=True):
    """Number of pairs of samples of each kind, and the factors of twins, which may be none."""

    pairs: Annotated[int, Meta(ge=2, le=10**4)]
    factors: tuple[Factor, ...] = ("phase", "vortex")
