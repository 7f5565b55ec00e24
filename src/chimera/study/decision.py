"""The decision on a model: replicates are added until it is better, worse or equivalent.

Differences d_r are of a logarithm of an error, model minus baseline: a negative mean is better. At
n = 8, 9, ..., 40 replicates, in their declared order, with the confidence sequences C of level
1 - alpha and 1 - 2 alpha:

    equivalent   C_{1-2a} lies within (-margin, margin)
    better       else C_{1-a} lies below zero
    worse        else C_{1-a} lies above zero
    undecided    else

The first decision stands. The sequences hold at all n at once, so that for normal differences it is
wrong with probability at most alpha: a difference where there is none, or equivalence where the
difference is the margin (each end of C_{1-2a} fails half as often as both). benchmarks/decision.csv
has the rates, and those for other distributions.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chimera.statistics.confidence_sequences import half_width
from chimera.statistics.e_values import PRIOR_VARIANCE
from chimera.statistics.resampling.intervals import Rng
from chimera.statistics.resampling.samples import Floats, sample, sample_has_spread
from chimera.study.stopping import UNDECIDED, Analysis, Stopping


@dataclass(frozen=True, kw_only=True)
class StoppingRule(Stopping):
    """When replicates are added, and what is decided."""

    margin: float  # smallest difference of interest, in the unit of the differences
    alpha: float = 0.05  # level of each decision
    first_look: int = 8
    last_look: int = 40
    prior_variance: float = PRIOR_VARIANCE


def rule_of(plan: Analysis) -> StoppingRule:
    """Return the declared rule."""
    return StoppingRule(margin=plan.margin, alpha=plan.alpha, **vars(plan.stopping))


class Decision(NamedTuple):
    """A verdict, and the number of replicates at which it fell, None while undecided."""

    verdict: str
    replicates: int | None


class Outlook(NamedTuple):
    """How a study may go on."""

    further: float  # expected number of replicates until the decision, or until the last look
    decided: float  # probability of a decision by then


def decide(differences: ArrayLike, rule: StoppingRule) -> Decision:
    """Return the first decision by d_r (n,), n >= 2, of the replicates in their declared order.

    Replicates after the last look do not count. Differences of the first look that are all the same
    and not zero are an InputError.
    """
    d = sample("differences", differences)
    sample_has_spread("differences", d[: rule.first_look])
    verdicts, replicates = decide_studies(d[None], rule)
    verdict = str(verdicts[0])
    return Decision(verdict, None if verdict == UNDECIDED else int(replicates[0]))


def decide_studies(
    differences: Floats, rule: StoppingRule
) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Return the first decision (S,) of studies (S, n) and the replicates (S,) that it took.

    A study without a decision is "undecided" at its last look; one of fewer replicates than the
    first look is undecided at n.
    """
    within, side = look(differences, rule)
    S, L = side.shape
    if L == 0:
        return np.full(S, UNDECIDED), np.full(S, differences.shape[1])
    decided = within | (side != 0)
    index = np.where(decided.any(axis=1), decided.argmax(axis=1), L - 1)
    equivalent, sign = (each[np.arange(S), index] for each in (within, side))
    words = ["equivalent", "better", "worse"]
    verdicts = np.select([equivalent, sign < 0, sign > 0], words, UNDECIDED)
    return verdicts, index + rule.first_look


def look(differences: Floats, rule: StoppingRule) -> tuple[NDArray[np.bool_], NDArray[np.int8]]:
    """Return what the sequences of studies (S, n) say at each look, whatever was decided before.

    (S, L) each: whether C_{1-2a} lies within the margin; -1 or 1 where C_{1-a} lies below or above
    zero, else 0.
    """
    n = np.arange(rule.first_look, min(differences.shape[1], rule.last_look) + 1)
    means, deviations = (moment[:, n - 1] for moment in running_moments(differences))
    narrow = half_width(deviations, n, 2 * rule.alpha, rule.prior_variance)
    wide = half_width(deviations, n, rule.alpha, rule.prior_variance)
    excluded = np.abs(means) > wide
    side = np.where(excluded, np.sign(means), 0).astype(np.int8)
    return np.abs(means) + narrow < rule.margin, side


def running_moments(differences: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation (0 of one) of the first 1 to n of studies (S, n)."""
    n = np.arange(1, differences.shape[1] + 1)
    # Sums of squares lose no digits to a common offset once the first value is subtracted.
    centered = differences - differences[:, :1]
    sums = np.cumsum(centered, axis=1)
    squares = np.cumsum(centered**2, axis=1) - sums**2 / n
    variances = np.maximum(squares, 0) / np.maximum(n - 1, 1)
    return differences[:, :1] + sums / n, np.sqrt(variances)


def outlook(
    differences: ArrayLike, rule: StoppingRule, *, num_studies: int = 10_000, rng: Rng = 0
) -> Outlook:
    """Return the expected number of further replicates, by simulation.

    Each simulated study goes on with normal differences whose mean and variance are drawn from
    their posterior given those so far (prior dmu dsigma / sigma):

        sigma^2 = sum (d - mean d)^2 / chi^2_{n-1},   mu = mean d + sigma z / sqrt(n)

    so that the few replicates' uncertainty enters. Exchanging the models changes nothing. The
    differences d_r (n,) so far, n >= 2, are not all the same unless zero.
    """
    d = sample("differences", differences)
    sample_has_spread("differences", d)
    verdict, _ = decide(d, rule)
    if verdict != UNDECIDED or len(d) >= rule.last_look:
        return Outlook(0.0, float(verdict != UNDECIDED))
    d = -d if d.mean() < 0 else d
    generator = np.random.default_rng(rng)
    n, squares = len(d), ((d - d.mean()) ** 2).sum()
    sigma = np.sqrt(squares / generator.chisquare(n - 1, (num_studies, 1)))
    mu = d.mean() + sigma / np.sqrt(n) * generator.standard_normal((num_studies, 1))
    future = mu + sigma * generator.standard_normal((num_studies, rule.last_look - n))
    studies = np.concatenate([np.broadcast_to(d, (num_studies, n)), future], axis=1)
    verdicts, replicates = decide_studies(studies, rule)
    return Outlook(float(replicates.mean() - n), float((verdicts != UNDECIDED).mean()))
