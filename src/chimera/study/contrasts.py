"""Paired contrasts between a model and the baseline, over replicates.

Replicate r trains both models on the same batches in the same order: the difference d_r of an
endpoint y between them is one independent value. Errors enter as the mean over trajectories of
ln nRMSE, so that a difference is a log ratio:

    d_r = y_model,r - y_baseline,r,    exp(mean d) = ratio of (geometric mean) errors.

Claims are about the fixed test trajectories, with seeds as the only source of chance; for these,
the t interval and test are exact if d is normal (benchmarks/calibration.py).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chimera.statistics.correlation import spearman, spearman_interval
from chimera.statistics.effect_sizes import cohens_dz, hedges_gz
from chimera.statistics.location import paired_t_p, sign_flip_p
from chimera.statistics.multiplicity import benjamini_hochberg
from chimera.statistics.resampling.intervals import bca_interval, t_interval
from chimera.statistics.resampling.samples import Floats

# Procedures in benchmarks/calibration.csv, and the keys of their coverage.
INTERVALS = {"paired t": "ci_coverage", "BCa": "bca_coverage"}


def contrast(x: Floats, y: Floats, alpha: float) -> dict[str, float]:
    """Return estimate, intervals, tests and effect sizes of mean(x) - mean(y), paired (n,).

    `ci_low`, `ci_high` and `p` are those of the paired t test; `sign_flip_p_smallest` is the lower
    limit of `sign_flip_p` at this n. Intervals cover 1 - alpha.

    Raises:
        InputError: If n < 2, or all differences are the same.
    """
    differences = x - y
    low, high = t_interval(differences, 1 - alpha)
    bca_low, bca_high = bca_interval(differences, 1 - alpha)
    return {
        "estimate": float(differences.mean()),
        "ci_low": low,
        "ci_high": high,
        "p": paired_t_p(differences),
        "sign_flip_p": sign_flip_p(differences),
        "sign_flip_p_smallest": 2.0 ** (1 - len(differences)),
        "bca_low": bca_low,
        "bca_high": bca_high,
        "cohens_dz": cohens_dz(x, y),
        "hedges_gz": hedges_gz(x, y),
        "n": len(differences),
    }


def contrasts(
    endpoints: Mapping[str, tuple[Floats, Floats]], primary: str, alpha: float
) -> dict[str, Any]:
    """Return the contrast of every endpoint (model, baseline), with q over the secondary family.

    The primary endpoint is tested alone: its q is its p.
    """
    result = {name: contrast(x, y, alpha) for name, (x, y) in endpoints.items()}
    family = [name for name in result if name != primary]
    if family:
        q = benjamini_hochberg([result[name]["p"] for name in family])
        for name, value in zip(family, q, strict=True):
            result[name]["q"] = float(value)
    if primary in result:
        result[primary]["q"] = result[primary]["p"]
    return result


def correlations(
    probes: Mapping[str, Sequence[float | None]], gaps: Sequence[float], alpha: float
) -> dict[str, Any]:
    """Return Spearman's correlation of every declared probe statistic with the gap, over runs.

    Args:
        probes: One value per run, by the statistic's name; None if the run withheld it.
        gaps: The endpoint `gap` of the same runs, in the same order.
        alpha: Level; intervals cover 1 - alpha.

    Returns:
        `rho`, `ci_low`, `ci_high`, `p` and, over this family, `q` of each statistic that every run
        has; the number `withheld` of the others. All are withheld below 3 runs, as two ranks always
        correlate.

    Raises:
        InputError: If a statistic is the same in all runs.
    """
    result: dict[str, Any] = {}
    for name, given in probes.items():
        values = [value for value in given if value is not None]
        if len(values) < len(gaps) or len(gaps) < 3:
            continue
        rho, p = spearman(values, gaps)
        low, high = spearman_interval(values, gaps, 1 - alpha)
        result[name] = {"rho": rho, "ci_low": low, "ci_high": high, "p": p}
    if result:
        q = benjamini_hochberg([row["p"] for row in result.values()])
        for row, value in zip(result.values(), q, strict=True):
            row["q"] = float(value)
    return result | {"withheld": len(probes) - len(result)}


def interval_coverage(rows: Sequence[Mapping[str, str]], replicates: int) -> dict[str, float]:
    """Return `ci_coverage` and `bca_coverage`, the lowest coverage in benchmarks/calibration.csv.

    It is that of the largest tabulated number up to `replicates`; without one, nothing is returned.
    """
    fixed = [row for row in rows if row["scenario"].startswith("fixed")]
    tabulated = [n for n in (int(row["replicates"]) for row in fixed) if n <= replicates]
    worst: dict[str, float] = {}
    for row in fixed:
        name = INTERVALS.get(row["procedure"])
        if name and tabulated and int(row["replicates"]) == max(tabulated):
            worst[name] = min(worst.get(name, 1.0), float(row["coverage"]))
    return worst
