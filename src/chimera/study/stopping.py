"""What is declared about contrasts and about when replicates end; nothing here needs NumPy."""

from dataclasses import dataclass

UNDECIDED = "undecided"  # the verdict while no sequence has decided


@dataclass(frozen=True, kw_only=True)
class Stopping:
    """When one looks at the replicates."""

    first_look: int  # replicates at the first look
    last_look: int  # most replicates
    prior_variance: float  # g of the e-value, see chimera.statistics.e_values


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What is declared about contrasts."""

    alpha: float  # level of every test and decision, and 1 - alpha of every interval
    margin: float  # smallest effect of interest, in ln units: ln 1.1 for 10% of an error
    margin_frames: float  # the same of the valid time, in frames
    power: float  # probability with which a detectable difference is found
    primary: str  # see chimera.study.endpoints
    secondary: tuple[str, ...]  # endpoints of the secondary family
    weights: dict[str, float]  # of each OOD axis in the primary endpoint
    stopping: Stopping
