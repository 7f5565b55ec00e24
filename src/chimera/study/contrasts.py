"""Paired contrasts between a model and the baseline, over replicates.

Replicate r trains both models on the same batches in the same order: the difference d_r of an
endpoint y between them is one independent value. Errors enter as the mean over trajectories of
ln nRMSE, so that a difference is a log ratio:

    d_r = y_model,r - y_baseline,r,    exp(mean d) = ratio of (geometric mean) errors.

Claims are about the fixed test trajectories, with seeds as the only source of chance. t interval
and test are exact if d is normal and n fixed beforehand (benchmarks/calibration.py), not where the
rule ended a study; e-value and confidence sequence hold at all n (benchmarks/decision.py).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chimera.statistics.confidence_sequences import confidence_sequence
from chimera.statistics.correlation import smallest_spearman_p, spearman, spearman_interval
from chimera.statistics.e_values import e_value
from chimera.statistics.effect_sizes import cohens_dz, hedges_gz
from chimera.statistics.equivalence import equivalence_p
from chimera.statistics.location import paired_t_p, sign_flip_p
from chimera.statistics.multiplicity import benjamini_hochberg, holm
from chimera.statistics.power import detectable_effect
from chimera.statistics.resampling.intervals import bca_interval, t_interval
from chimera.statistics.resampling.samples import Floats, rounding
from chimera.study.decision import StoppingRule, decide, outlook, rule_of
from chimera.study.endpoints import axis_weights, endpoint, endpoint_names
from chimera.study.error_table import Runs
from chimera.study.stopping import UNDECIDED, Analysis

UNBOUNDED = "unbounded"  # an end of a confidence sequence that so few replicates leave open


def contrast(
    x: Floats, y: Floats, rule: StoppingRule, power: float = 0.8
) -> dict[str, float | str]:
    """Return estimate, intervals, tests and effect sizes of mean(x) - mean(y), paired (n,).

    `ci_low`, `ci_high` and `p` are of the paired t test, `p_equivalence` of the two one-sided tests
    at the margin; `e_value`, `cs_low` and `cs_high` hold at every replicate. `detectable` is the
    true difference that the t test finds with the power, at the deviation observed. It is an
    InputError if n < 2 or all differences are the same and not zero.
    """
    differences, n = np.where(np.abs(x - y) > rounding(x, y), x - y, 0.0), len(x)
    confidence, prior = 1 - rule.alpha, rule.prior_variance
    low, high = t_interval(differences, confidence)
    bca_low, bca_high = bca_interval(differences, confidence)
    sequence = confidence_sequence(differences, rule.alpha, prior_variance=prior)
    cs_low, cs_high = (end if math.isfinite(end) else UNBOUNDED for end in sequence)
    found = detectable_effect(n, alpha=rule.alpha, power=power)
    return {
        "estimate": float(differences.mean()),
        "ci_low": low,
        "ci_high": high,
        "p": paired_t_p(differences),
        "p_equivalence": equivalence_p(differences, rule.margin),
        "e_value": e_value(differences, prior_variance=prior),
        "cs_low": cs_low,
        "cs_high": cs_high,
        "sign_flip_p": sign_flip_p(differences),
        "sign_flip_p_smallest": 2.0 ** (1 - n),
        "bca_low": bca_low,
        "bca_high": bca_high,
        "cohens_dz": cohens_dz(x, y),
        "hedges_gz": hedges_gz(x, y),
        "detectable": found * float(differences.std(ddof=1)),
        "n": n,
    }


def contrasts(endpoints: Mapping[str, tuple[Floats, Floats]], plan: Analysis) -> dict[str, Any]:
    """Return the contrast of every endpoint (model, baseline), with q over the secondary family.

    The primary endpoint is tested alone: its q is its p. A secondary one whose difference is the
    same up to rounding in every replicate, as frames may be, has no spread to test: it counts in
    the family with p = 1, and has no row.
    """
    result: dict[str, Any] = {}
    for name, (x, y) in endpoints.items():
        d, least = x - y, rounding(x, y)
        if name != plan.primary and np.abs(d - d.mean()).max() <= least < abs(d.mean()):
            continue
        margin = plan.margin_frames if name == "ind_valid_time" else plan.margin
        rule = replace(rule_of(plan), margin=margin)
        result[name] = contrast(x, y, rule, plan.power)
    secondary = [result.get(name, {"p": 1.0}) for name in endpoints if name != plan.primary]
    _adjust(secondary, benjamini_hochberg)
    if plan.primary in result:
        result[plan.primary]["q"] = result[plan.primary]["p"]
    return result


def _adjust(rows: Sequence[dict[str, Any]], correction: Callable[[list[float]], Floats]) -> None:
    """Give each row of a family its q, the p adjusted for the others."""
    for row, q in zip(rows, correction([row["p"] for row in rows]) if rows else (), strict=True):
        row["q"] = float(q)


def decision(differences: Floats, rule: StoppingRule) -> dict[str, float | str]:
    """Return the verdict on one model, and how a study without one may go on.

    `decided_at` is the number of replicates at which the verdict fell, absent if undecided;
    `further` the expected number of further replicates, and `decision_probability` that of a
    verdict by the last look.
    """
    found, future = decide(differences, rule), outlook(differences, rule)
    at = {} if found.replicates is None else {"decided_at": found.replicates}
    further = {"further": future.further, "decision_probability": future.decided}
    return {"verdict": found.verdict} | at | further


def variance_shares(
    differences: Mapping[str, Floats], weights: Mapping[str, float]
) -> dict[str, float]:
    """Return the share that each axis makes of the variance of the weighted mean over axes.

        share_a = w_a cov(d_a, sum_b w_b d_b) / var(sum_b w_b d_b)

    The differences d are (n,). The shares have the sum 1; that of an axis which offsets others is
    negative. There are none where the variance is zero.
    """
    weighted = {axis: weights[axis] * (d - d.mean()) for axis, d in differences.items()}
    total = np.sum(list(weighted.values()), axis=0)
    if not (total**2).sum():
        return {}
    return {axis: float((d * total).sum() / (total**2).sum()) for axis, d in weighted.items()}


def compare(
    runs: Runs, models: Sequence[str], baseline: str, replicates: Sequence[int], plan: Analysis
) -> dict[str, dict[str, Any]]:
    """Return every model's contrasts with the baseline and its verdict, in metrics/stats.json.

    `runs` has the errors of every (model, replicate), `models` the compared ones without the
    baseline; the rule looks at the replicates in this order. The primary endpoint's q is adjusted
    over models (Holm). One replicate has no contrasts, and without OOD axes there is no primary
    endpoint; either is undecided.
    """
    axes = list(next(iter(runs.values())))
    possible = endpoint_names(axes)
    names = [name for name in (plan.primary, *plan.secondary) if name in possible]
    if len(replicates) < 2 or not names:
        return {model: {"verdict": UNDECIDED} for model in models}

    def values(name: str, model: str) -> Floats:
        return np.array([endpoint(name, runs[model, r], plan.weights) for r in replicates])

    weights = axis_weights(plan.weights, axes)
    report: dict[str, dict[str, Any]] = {}
    for model in models:
        pairs = {name: (values(name, model), values(name, baseline)) for name in names}
        rows = report[model] = contrasts(pairs, plan)
        rows["verdict"] = UNDECIDED
        if plan.primary in pairs:
            x, y = pairs[plan.primary]
            rows |= decision(x - y, rule_of(plan))
        errors = {axis: f"{axis}_nrmse" for axis in weights}
        by_axis = {a: values(name, model) - values(name, baseline) for a, name in errors.items()}
        for axis, share in variance_shares(by_axis, weights).items() if weights else ():
            if errors[axis] in rows:
                rows[errors[axis]]["variance_share"] = share
    _adjust([rows[plan.primary] for rows in report.values() if plan.primary in rows], holm)
    return report


def correlations(
    probes: Mapping[str, Sequence[float | None]],
    errors: Sequence[float],
    models: Sequence[str],
    alpha: float,
) -> dict[str, Any]:
    """Return Spearman's correlation of every declared probe statistic with the OOD error.

    It is within models, over runs: two models that differ in both would correlate by that alone.
    `probes` has one value per run, by the statistic's name, None if the run withheld it; `errors`
    are the endpoint `ood_nrmse` of the same runs. Intervals cover 1 - alpha.

    There is a row for each statistic that every run has, with q over this family, and how many
    others are `withheld`. If any run has any: `n` runs of `models` models, `smallest_p`, the least
    that a statistic can have, and how many are `unattainable`, with none of alpha or less. One that
    is the same in all runs of each model is among these.
    """
    result: dict[str, Any] = {}
    smallest: list[float] = []
    for name, given in probes.items():
        values = [value for value in given if value is not None]
        if len(values) < len(errors) or len(errors) < 2:
            continue
        smallest.append(smallest_spearman_p(values, errors, groups=models))
        if smallest[-1] > alpha:
            continue
        rho, p = spearman(values, errors, groups=models)
        low, high = spearman_interval(values, errors, 1 - alpha, groups=models)
        result[name] = {"rho": rho, "ci_low": low, "ci_high": high, "p": p}
    _adjust(list(result.values()), benjamini_hochberg)
    counts: dict[str, Any] = {"withheld": len(probes) - len(result)}
    if smallest:
        counts |= {"n": len(errors), "models": len(set(models)), "smallest_p": min(smallest)}
        counts["unattainable"] = sum(p > alpha for p in smallest)
    return result | counts
