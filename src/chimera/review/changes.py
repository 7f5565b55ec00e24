"""How far metrics moved between two revisions, in units of what seeds alone do.

A metric that is a mean over replicates has a seed-to-seed standard deviation; a change of it is
measured in that of both revisions, pooled over their n_b and n_h replicates:

    s^2 = ((n_b - 1) s_b^2 + (n_h - 1) s_h^2) / (n_b + n_h - 2),    z = (head - base) / s.

If nothing but the seeds differed (normal, independent), z / sqrt(1/n_b + 1/n_h) would be Student's
t with n_b + n_h - 2 degrees of freedom: the two-sample t test, of which `chance` is the level.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import scipy

from chimera.review.revisions import Revision

THRESHOLD = 2.0  # in standard deviations: a change beyond is marked


@dataclass(frozen=True)
class Change:
    """One metric at both revisions; `None` where it is absent.

    Attributes:
        name: Dotted.
        before: At the base.
        after: At the head.
        sd: Pooled seed-to-seed standard deviation; `None` for what no seed touches.
    """

    name: str
    before: float | None
    after: float | None
    sd: float | None

    @property
    def z(self) -> float | None:
        """Return the change in standard deviations, infinite where there is no spread."""
        if self.sd is None or self.before is None or self.after is None:
            return None
        difference = self.after - self.before
        return difference / self.sd if self.sd else math.copysign(math.inf, difference)

    @property
    def differs(self) -> bool:
        """Say whether anything changed."""
        return self.before != self.after

    @property
    def marked(self) -> bool:
        """Say whether the change is beyond the threshold."""
        return self.differs and self.z is not None and abs(self.z) > THRESHOLD


def pooled_sd(sds: Sequence[float | None], counts: Sequence[int]) -> float | None:
    """Return the pooled standard deviation; of what is not `None`, `None` if nothing is left.

    >>> pooled_sd([3.0, 4.0], [3, 3]) == math.sqrt((9 + 16) / 2)
    True
    """
    pairs = [(n - 1, s) for s, n in zip(sds, counts, strict=True) if s is not None and n > 1]
    if not pairs:
        return None
    return math.sqrt(sum(d * s**2 for d, s in pairs) / sum(d for d, _ in pairs))


def chance(counts: Sequence[int], threshold: float = THRESHOLD) -> float | None:
    """Return the probability that seeds alone move a mean by more than so many deviations."""
    if min(counts) < 2:
        return None
    scale = math.sqrt(sum(1 / n for n in counts))
    return float(2 * scipy.stats.t.sf(threshold / scale, sum(counts) - 2))


def spread(metrics: Mapping[str, float], key: str) -> float | None:
    """Return the seed-to-seed standard deviation of one metric.

    `<key>_sd` where there is one; of a contrast's estimate that of the paired differences, which is
    estimate / d_z.
    """
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
    """Return (gate, passed, why) of one revision, for the gates whose metrics it holds."""
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
        count = f"{len(revision.deviating)} frozen parameters deviate"
        rows.append(
            ("preregistration", not unlogged, f"{count}; without an entry: {', '.join(unlogged)}")
            if unlogged
            else (
                "preregistration",
                True,
                f"{count}, each with an entry" if revision.deviating else count,
            )
        )
    return rows
