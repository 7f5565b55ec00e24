"""The study's findings as sentences made of its numbers.

A contrast d is the mean over replicates of ln(error of the model) - ln(error of the baseline), so
that exp(d) is a ratio of errors. `Not significant` is never reported as `equal`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from chimera.figures.labels import axis_label, model_label
from chimera.governance.preregistration import Preregistration
from chimera.statistics.power import paired_t_power
from chimera.study.endpoints import by_model

Contrast = Mapping[str, float]


class Verdict(NamedTuple):
    """The answer for one model: one sentence, and sentences with its evidence and its limits."""

    headline: str
    sentences: tuple[str, ...]


def verdicts(
    stats: Mapping[str, Any],
    summary: Mapping[str, Any],
    plan: Preregistration,
    models: Sequence[str],
    baseline: str,
) -> list[Verdict]:
    """Return one verdict for each model but the baseline; one sentence if there is none.

    `stats` and `summary` are the contents of metrics/stats.json and metrics/summary.json.
    """
    found = by_model(stats) if baseline in models else {}
    if not found:
        return [Verdict("There is nothing to compare: only one model was trained.", ())]
    return [_verdict(model, baseline, rows, stats, summary, plan) for model, rows in found.items()]


def _verdict(
    model: str,
    baseline: str,
    rows: Mapping[str, Contrast],
    stats: Mapping[str, Any],
    summary: Mapping[str, Any],
    plan: Preregistration,
) -> Verdict:
    name, other = model_label(model), model_label(baseline)
    n = int(stats["replicates"])
    if not rows:
        reason = (
            "one replicate cannot tell a difference between models from one between seeds"
            if n < 2
            else "none of the declared endpoints can be computed from these datasets"
        )
        return Verdict(
            f"This study cannot say whether {name} is better than {other}.",
            (f"No test was made: {reason}.", *_observed(model, baseline, summary)),
        )
    sentences = []
    endpoint = plan.primary if plan.primary in rows else next(iter(rows))
    if endpoint != plan.primary:
        missing = endpoint_phrase(plan.primary)
        sentences.append(
            f"The primary endpoint, {missing}, does not exist here: no dataset is out of "
            f"distribution. What follows is of a secondary endpoint, {endpoint_phrase(endpoint)}."
        )
    row = rows[endpoint]
    significant = row["p" if endpoint == plan.primary else "q"] < plan.alpha
    sentences += [
        _numbers(endpoint, row, name, other, plan),
        "The claim is about these frozen test trajectories, with chance that of initial "
        "weights and batches; other flows were not sampled."
        if significant
        else f"That is no evidence that the two are equal: the interval reaches from "
        f"{change(endpoint, row['ci_low'])} to {change(endpoint, row['ci_high'])}.",
    ]
    if "ind_nrmse" in rows and endpoint != "ind_nrmse":
        sentences.append(_numbers("ind_nrmse", rows["ind_nrmse"], name, other, plan))
    sentences += [_power(n, stats, plan), _secondary(rows, plan)]
    return Verdict(_headline(endpoint, row, significant, name, other), tuple(sentences))


def _headline(endpoint: str, row: Contrast, significant: bool, name: str, other: str) -> str:
    if not significant:
        return f"No difference between {name} and {other} was found in {endpoint_phrase(endpoint)}."
    if endpoint == "ind_valid_time":
        word = "longer" if row["estimate"] > 0 else "less long"
        return f"{name}'s rollouts stay valid {word} than {other}'s."
    word = "better" if row["estimate"] < 0 else "worse"
    return f"{name} is {word} than {other} in {endpoint_phrase(endpoint)}."


def _numbers(endpoint: str, row: Contrast, name: str, other: str, plan: Preregistration) -> str:
    chance = f"p = {p_value(row['p'])} (paired t test)"
    if endpoint != plan.primary:
        chance += f", q = {p_value(row['q'])}"
    coverage = row.get("ci_coverage")
    simulated = f", simulated coverage {coverage:.1%}" if coverage else ""
    return (
        f"Over {row['n']:.0f} paired replicates {name}'s {endpoint_phrase(endpoint)} is "
        f"{change(endpoint, row['estimate'])} than {other}'s ({1 - plan.alpha:.0%} t interval: "
        f"{change(endpoint, row['ci_low'])} to {change(endpoint, row['ci_high'])}{simulated}; "
        f"{chance}; Hedges' g = {row['hedges_gz']:+.2f})."
    )


def _power(n: int, stats: Mapping[str, Any], plan: Preregistration) -> str:
    needed = int(stats["required_replicates"])
    power = paired_t_power(plan.effect, n, alpha=plan.alpha)
    enough = "enough" if n >= needed else "too few"
    return (
        f"{n} replicates are {enough} for what was planned: a mean difference of {plan.effect:g} "
        f"times the standard deviation between replicates is found with a probability of "
        f"{power:.0%}, and {needed} replicates are needed for {plan.power:.0%}."
    )


def _secondary(rows: Mapping[str, Contrast], plan: Preregistration) -> str:
    family = [name for name in rows if name != plan.primary]
    found = [name for name in family if rows[name]["q"] < plan.alpha]
    if not family:
        return "No secondary endpoint was declared."
    if not found:
        return f"None of the {len(family)} secondary endpoints has q < {plan.alpha:g}."
    listed = "; ".join(f"{endpoint_phrase(n)} {change(n, rows[n]['estimate'])}" for n in found)
    return f"{len(found)} of {len(family)} secondary endpoints have q < {plan.alpha:g}: {listed}."


def _observed(model: str, baseline: str, summary: Mapping[str, Any]) -> list[str]:
    sentences = []
    for axis in ("ind", "ood"):
        if axis in summary[model]:
            d = math.log(summary[model][axis]["nrmse"] / summary[baseline][axis]["nrmse"])
            sentences.append(
                f"Observed, without a test: the mean {axis_label(axis)} error of "
                f"{model_label(model)} is {change('nrmse', d)} than {model_label(baseline)}'s."
            )
    return sentences


def endpoint_phrase(name: str) -> str:
    """Return an endpoint as a noun phrase.

    >>> endpoint_phrase("ood_nrmse"), endpoint_phrase("ood_decay_nrmse")
    ('one-step OOD error', 'one-step OOD decay error')
    """
    phrases = {
        "ind_rmse_high": "one-step IND error in the highest quarter of wavenumbers",
        "ind_valid_time": "IND valid time",
        "gap": "generalisation gap (OOD error / IND error)",
    }
    return phrases.get(name, f"one-step {axis_label(name.removesuffix('_nrmse'))} error")


def change(endpoint: str, d: float) -> str:
    """Return a contrast in words: a relative change of an error, or frames.

    >>> change("ood_nrmse", math.log(1.25)), change("ood_nrmse", math.log(0.9))
    ('25.0% higher', '10.0% lower')
    >>> change("ind_valid_time", -1.5)
    '1.50 frames shorter'
    """
    if endpoint == "ind_valid_time":
        return f"{abs(d):.2f} frames {'longer' if d > 0 else 'shorter'}"
    return f"{abs(math.expm1(d)):.1%} {'higher' if d > 0 else 'lower'}"


def p_value(value: float) -> str:
    """Return a probability with three decimals.

    >>> p_value(0.49039), p_value(1e-6)
    ('0.490', '< 0.001')
    """
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def status(stats: Mapping[str, Any], unfrozen: int) -> str:
    """Return a sentence about whether the study is the preregistered one."""
    if stats["confirmatory"]:
        return (
            "Standing: as preregistered. Every frozen parameter has its preregistered value and "
            "every data file is the frozen one."
        )
    reasons = []
    if stats["deviations"]:
        reasons.append(f"parameters that differ from the preregistered ones: {stats['deviations']}")
    if unfrozen:
        reasons.append(f"data files that no manifest has frozen: {unfrozen}")
    listed = "; ".join(reasons)
    return f"Standing: exploratory ({listed}). It can suggest hypotheses, and confirms none."


def beaten_by_persistence(summary: Mapping[str, Any], models: Sequence[str]) -> str:
    """Return a sentence about the axes on which persistence has a smaller error than a model."""
    baseline = summary["persistence"]
    axes = [a for a, row in baseline.items() if isinstance(row, Mapping) and a != "ood"]
    parts = []
    for model in models:
        worse = [a for a in axes if summary[model][a]["nrmse"] > baseline[a]["nrmse"]]
        parts.append(f"{model_label(model)} on {', '.join(map(axis_label, worse)) or 'no axis'}")
    return f"Predicting that nothing changes errs less, one step ahead, than {'; '.join(parts)}."
