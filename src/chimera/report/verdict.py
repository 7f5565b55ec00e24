"""The study's findings as sentences made of its numbers.

A contrast d is the mean over replicates of ln(error of the model) - ln(error of the baseline), so
that exp(d) is a ratio of errors. The word of the verdict is that of metrics/stats.json.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from chimera.governance.plan import Preregistration
from chimera.study.endpoints import by_model
from chimera.study.labels import axis_label, model_label
from chimera.study.stopping import UNDECIDED

Contrast = Mapping[str, Any]

_FORECASTS = {"persistence": "Predicting that nothing changes"} | {
    f"solver_{n}": f"The solver itself, which knows the equation, on {n}² points"
    for n in (64, 48, 32)
}


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
    name, other, n = model_label(model), model_label(baseline), int(stats["replicates"])
    nothing = f"This study cannot say whether {name} is better than {other}."
    if not rows:
        reason = (
            "one replicate cannot tell a difference between models from one between seeds"
            if n < 2
            else "none of the declared endpoints can be computed from these datasets"
        )
        observed = _observed(model, baseline, summary)
        return Verdict(nothing, (f"No test was made: {reason}.", *observed))
    sentences = []
    endpoint = plan.primary if plan.primary in rows else next(iter(rows))
    if endpoint != plan.primary:
        missing = endpoint_phrase(plan.primary)
        sentences.append(
            f"The primary endpoint, {missing}, does not exist here: no dataset is out of "
            f"distribution. What follows is of a secondary endpoint, {endpoint_phrase(endpoint)}."
        )
    row = rows[endpoint]
    sentences.append(_numbers(endpoint, row, name, other, plan))
    if endpoint == plan.primary:
        sentences.append(_decision(row, stats[model], plan))
    if "ind_nrmse" in rows and endpoint != "ind_nrmse":
        sentences.append(_numbers("ind_nrmse", rows["ind_nrmse"], name, other, plan))
    sentences += [_power(row, endpoint, plan), _secondary(rows, plan)]
    headline = _headline(stats[model]["verdict"], n, name, other, plan)
    return Verdict(headline if endpoint == plan.primary else nothing, tuple(sentences))


def _headline(word: str, n: int, name: str, other: str, plan: Preregistration) -> str:
    measure = endpoint_phrase(plan.primary)
    if word == "equivalent":
        return f"{name} and {other} are equivalent in {measure}, within {percent(plan.margin)}."
    if word == UNDECIDED:
        return f"{n} replicates leave undecided whether {name} or {other} has the lower {measure}."
    return f"{name} is {word} than {other} in {measure}."


def _decision(row: Contrast, found: Mapping[str, Any], plan: Preregistration) -> str:
    looks, level = plan.stopping, 1 - plan.alpha
    claim = (
        "The claim is about these frozen test trajectories, with chance that of initial weights "
        "and batches; other flows were not sampled."
    )
    ends = "" if "unbounded" in (row["cs_low"], row["cs_high"]) else (
        f"reaches from {change(plan.primary, row['cs_low'])} to "
        f"{change(plan.primary, row['cs_high'])}"
    )  # fmt: skip
    if "decided_at" in found:
        reason = (
            f"the {1 - 2 * plan.alpha:.0%} confidence sequence lies within {percent(plan.margin)}"
            if found["verdict"] == "equivalent"
            else f"the {level:.0%} confidence sequence excludes equality"
        )
        if ends and found["verdict"] != "equivalent" and found["decided_at"] == row["n"]:
            reason += f": it holds at every look, and {ends}"
        return f"That was decided at replicate {found['decided_at']:.0f}, where {reason}. {claim}"
    if row["n"] >= looks.last_look:
        return f"That was the last of {looks.last_look} looks. {claim}"
    rule = f"Replicates may be added until it is decided, from {looks.first_look} on"
    if ends:
        rule += f"; the {level:.0%} confidence sequence, which holds at every look, now {ends}"
    return (
        f"{rule}. About {math.ceil(found['further'])} more are expected, up to {looks.last_look} "
        f"in all, and a decision by then with a probability of {found['decision_probability']:.0%}."
    )


def _numbers(endpoint: str, row: Contrast, name: str, other: str, plan: Preregistration) -> str:
    chance = f"p = {p_value(row['p'])} (paired t test)"
    if endpoint != plan.primary:
        chance += f", q = {p_value(row['q'])}"
    return (
        f"Over {row['n']:.0f} paired replicates {name}'s {endpoint_phrase(endpoint)} is "
        f"{change(endpoint, row['estimate'])} than {other}'s ({1 - plan.alpha:.0%} t interval: "
        f"{change(endpoint, row['ci_low'])} to {change(endpoint, row['ci_high'])}; "
        f"{chance}; Hedges' g = {row['hedges_gz']:+.2f})."
    )


def _power(row: Contrast, endpoint: str, plan: Preregistration) -> str:
    if endpoint == "ind_valid_time":
        size, least = f"{row['detectable']:.2f} frames", f"{plan.margin_frames:g} frames"
    else:
        size, least = f"{percent(row['detectable'])} of error", percent(plan.margin)
    return (
        f"At the spread observed, a t test of {row['n']:.0f} replicates finds a difference of "
        f"{size} with a probability of {plan.power:.0%}; the smallest of interest is {least}."
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
    found, other = summary[model], summary[baseline]
    return [
        f"Observed, without a test: the mean {axis_label(axis)} error of {model_label(model)} is "
        f"{change('nrmse', math.log(found[axis]['nrmse'] / other[axis]['nrmse']))} than "
        f"{model_label(baseline)}'s."
        for axis in ("ind", "ood")
        if axis in found
    ]


def endpoint_phrase(name: str) -> str:
    """Return an endpoint as a noun phrase.

    >>> endpoint_phrase("ood_nrmse"), endpoint_phrase("ood_decay_nrmse")
    ('one-step OOD error', 'one-step OOD decay error')
    """
    gap = "generalisation gap (OOD error / IND error)"
    phrases = {"ind_valid_time": "IND valid time", "gap": gap}
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


def percent(d: float) -> str:
    """Return a difference of logarithms as a share of error.

    >>> percent(math.log(1.1))
    '10%'
    """
    share = 100 * math.expm1(d)
    return f"{share:.3g}%" if share < 1000 else f"{share:.0f}%"


def beaten_by_baselines(summary: Mapping[str, Any], models: Sequence[str]) -> list[str]:
    """Return a sentence for each baseline: on which axes its error is smaller than a model's."""
    sentences = []
    for name, label in _FORECASTS.items():
        if name not in summary:
            continue  # it needs to know the equation
        baseline, parts = summary[name], []
        axes = [a for a, r in summary[models[0]].items() if isinstance(r, Mapping) and a != "ood"]
        for model in models:
            rows = [(a, summary[model][a], baseline[a]) for a in axes if a in baseline]
            worse = [a for a, own, other in rows if own["nrmse"] > other["nrmse"]]
            where = "every axis" if worse == axes else ", ".join(map(axis_label, worse))
            parts.append(f"{model_label(model)} on {where or 'no axis'}")
        sentences.append(f"{label} errs less, one step ahead, than {'; '.join(parts)}.")
    return sentences
