"""What is declared about contrasts and about when replicates end; nothing here needs NumPy."""

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


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What is declared about contrasts.

    Attributes:
        alpha: Level of every test and decision, and 1 - alpha of every interval.
        margin: Smallest effect of interest, in ln units: ln 1.1 for 10% of an error.
        margin_frames: The same of the valid time, in frames.
        power: Probability with which a detectable difference is found.
        primary: Primary endpoint, see chimera.study.endpoints.
        secondary: Endpoints of the secondary family.
        weights: Weight of each OOD axis in the primary endpoint.
        stopping: When one looks at the replicates, and the prior.
    """

    alpha: float
    margin: float
    margin_frames: float
    power: float
    primary: str
    secondary: tuple[str, ...]
    weights: dict[str, float]
    stopping: Stopping
