"""The declared part of the stopping rule: at which replicates one looks, and the prior."""

from dataclasses import dataclass

UNDECIDED = "undecided"  # the verdict while no sequence has decided


@dataclass(frozen=True, kw_only=True)
class Stopping:
    """When one looks at the replicates.

    Attributes:
        first_look: Replicates at the first look.
        last_look: Most replicates.
        prior_variance: g of the e-value, see chimera.statistics.e_values.
    """

    first_look: int
    last_look: int
    prior_variance: float
