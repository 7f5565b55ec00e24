"""Changes of metrics between two revisions, in units of the seed-to-seed standard deviation.

The standard deviations of a mean over replicates are pooled over both revisions, with n_b and n_h
replicates:

    s^2 = ((n_b - 1) s_b^2 + (n_h - 1) s_h^2) / (n_b + n_h - 2),    z = (head - base) / s.

If only the seeds differ (normal, independent), z / sqrt(1/n_b + 1/n_h) is Student's t with
n_b + n_h - 2 degrees of freedom: the two-sample t test, of which `chance` is the level.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import scipy

from chimera.review.revisions import Revision

THRESHOLD = 2.0  # standard deviations beyond which a change is marked
NEGLIGIBLE = 1e-5  # relative change that is none: metrics have six digits


class Change(NamedTuple):
    """One metric at the base (before) and the head (after), None if it is absent."""

    name: str
    before: float | None
    after: float | None
    sd: float | None  # the pooled seed-to-seed deviation, None for a metric without one

    @property
    def z(self) -> float | None:
        """Change in standard deviations, `None` if there are none or they are zero."""
        if not self.sd or self.before is None or self.after is None:
            return None
        return (self.after - self.before) / self.sd

    @property
    def differs(self) -> bool:
        """Whether the metric changed by more than rounding."""
        if self.before is None or self.after is None:
            return self.before is not self.after
        return not math.isclose(self.before, self.after, rel_tol=NEGLIGIBLE)

    @property
    def marked(self) -> bool:
        """Whether the change is beyond the threshold."""
        return self.differs and self.z is not None and abs(self.z) > THRESHOLD

    @property
    def size(self) -> str:
        """The change in standard deviations, or as a percentage of a metric without any."""
        if not self.differs:
            return "0"
        if self.z is not None:
            return f"{self.z:+.1f} sd"
        if self.before is None or self.after is None:
            return "new" if self.before is None else "gone"
        return f"{100 * (self.after / self.before - 1):+.2g}%" if self.before else "was 0"


def strongest(changes: Sequence[Change]) -> list[Change]:
    """Return the changes, the largest in standard deviations first, those without any last."""
    differing = [change for change in changes if change.differs]
    return sorted(differing, key=lambda c: -abs(c.z) if c.z is not None else 1.0)


def pooled_sd(sds: Sequence[float | None], counts: Sequence[int]) -> float | None:
    """Return the pooled standard deviation of those that are not `None`, `None` without any."""
    pairs = [(n - 1, s) for s, n in zip(sds, counts, strict=True) if s is not None and n > 1]
    if not pairs:
        return None
    return math.sqrt(sum(d * s**2 for d, s in pairs) / sum(d for d, _ in pairs))


def chance(counts: Sequence[int]) -> float | None:
    """Return the probability that seeds alone change a mean by more than THRESHOLD deviations."""
    if min(counts) < 2:
        return None
    scale = math.sqrt(sum(1 / n for n in counts))
    return float(2 * scipy.stats.t.sf(THRESHOLD / scale, sum(counts) - 2))


def spread(metrics: Mapping[str, float], key: str) -> float | None:
    """Return the seed-to-seed deviation of a metric: `<key>_sd`; of a contrast, estimate / d_z."""
    stem, _, leaf = key.rpartition(".")
    if leaf == "estimate" and metrics.get(f"{stem}.cohens_dz"):
        return abs(metrics[key] / metrics[f"{stem}.cohens_dz"])
    return metrics.get(f"{key}_sd")


def metric_changes(base: Revision, head: Revision, file: str) -> list[Change]:
    """Return every metric of one file at both revisions, in the head's order."""
    before, after = base.metrics.get(file, {}), head.metrics.get(file, {})
    counts = base.replicates, head.replicates
    found = []
    for key in [*after, *(key for key in before if key not in after)]:
        if not key.endswith("_sd"):
            sd = pooled_sd([spread(m, key) if key in m else None for m in (before, after)], counts)
            found.append(Change(key, before.get(key), after.get(key), sd))
    return found


def gates(revision: Revision) -> list[tuple[str, bool, str]]:
    """Return (gate, passed, reason) of one revision, for the gates whose metrics it has."""
    rows = []
    if verify := revision.metrics.get("verify"):
        bad = sum(verify.get(verdict, 0) for verdict in ("mismatched", "missing"))
        listed = ", ".join(f"{value:g} {name}" for name, value in verify.items() if value)
        rows.append(("verify", not bad, listed))
    if parity := revision.metrics.get("parity"):
        gaps = {key: value for key, value in parity.items() if key.endswith("_gap")}
        passed = all(abs(value) <= parity["tolerance"] for value in gaps.values())
        listed = ", ".join(f"{key} {100 * value:+.1f}%" for key, value in gaps.items())
        rows.append(("parity", passed, f"{listed}; tolerance {100 * parity['tolerance']:g}%"))
    if revision.plan:
        unlogged = [key for key, logged in revision.deviating.items() if not logged]
        listed = f"{len(revision.deviating)} frozen parameters deviate"
        if unlogged:
            listed += f"; without an entry: {', '.join(unlogged)}"
        elif revision.deviating:
            listed += ", each with an entry"
        rows.append(("preregistration", not unlogged, listed))
    return rows
