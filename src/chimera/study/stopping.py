"""The declared part of the stopping rule: at which replicates one looks, and the prior."""

from typing import Annotated

from msgspec import Meta

from chimera.interface.errors import InputError
from chimera.interface.settings import Positive, Settings

UNDECIDED = "undecided"  # the verdict while no sequence has decided

Level = Annotated[float, Meta(gt=0, lt=0.5)]
NumReplicates = Annotated[int, Meta(ge=2, le=10**4)]


class Stopping(Settings, frozen=True):
    """When one looks at the replicates.

    Attributes:
        first_look: Replicates at the first look.
        last_look: Most replicates.
        prior_variance: g of the e-value, see chimera.statistics.e_values.
    """

    first_look: NumReplicates
    last_look: NumReplicates
    prior_variance: Positive

    def __post_init__(self) -> None:
        """Require a look."""
        if self.last_look < self.first_look:
            raise InputError(
                f"last_look is {self.last_look}, expected at least first_look ({self.first_look})"
            )
