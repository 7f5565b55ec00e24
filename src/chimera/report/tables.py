"""The report's tables, with cells of text, made of the metrics."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from chimera.governance.plan import Deviation, Preregistration, deviations
from chimera.report.verdict import p_value, percent
from chimera.study.axes import axis_name
from chimera.study.labels import axis_label, contrast_label, model_label
from chimera.tuning.table import Trial, ranked, trials_by_model

Cells = list[tuple[str, ...]]  # the rows of a table to which the template gives its words


class Table(NamedTuple):
    """A caption, the names of the columns and rows of cells, the first of which names the row."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


ERRORS = {
    "nrmse": "One-step nRMSE (dimensionless)",
    "rollout_nrmse": "nRMSE over the rollout, mean over its frames (dimensionless)",
    "valid_time": "Valid time of a rollout (frames; longer is better)",
}


def errors_table(summary: Mapping[str, Any], models: Sequence[str], metric: str) -> Table:
    """Return one metric of ERRORS by axis, for the models and every other forecaster."""
    names = [*models, *(name for name in summary if name not in models)]
    axes = [axis for axis, row in summary[models[0]].items() if isinstance(row, Mapping)]
    rows = [
        (
            "OOD, mean over axes" if axis == "ood" else axis_label(axis),
            *(mean_and_spread(summary[name][axis], metric) for name in names),
        )
        for axis in axes
    ]
    caption = f"{ERRORS[metric]}; mean ± standard deviation over replicates."
    return Table(caption, ("axis", *map(model_label, names)), tuple(rows))


def datasets_rows(params: Mapping[str, Any]) -> Cells:
    """Return every dataset, with its parameters that differ from those of IND."""
    names, described = params["datasets"], params["data"].get("datasets", {})
    ind = described.get(names[0], {})
    rows: Cells = []
    for name in names:
        here = described.get(name, {})
        changes = [d for d in deviations(ind, here) if not d.key.startswith("trajectories")]
        listed = "; ".join(f"{d.key} {plain(d.running)}, IND {plain(d.frozen)}" for d in changes)
        rows.append((name, axis_label(axis_name(name, names)), listed or "-"))
    return rows


def plain(value: Any) -> str:
    """Return a parameter as text.

    >>> plain(1.5707963267948966), plain(None), plain({"amplitude": 1.0, "angle": 0.0})
    ('1.571', 'none', 'amplitude 1, angle 0')
    """
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(entry)}" for key, entry in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def mean_and_spread(row: Mapping[str, float], name: str) -> str:
    """Return a mean and, if there is one, its standard deviation over replicates.

    >>> mean_and_spread({"nrmse": 0.07612, "nrmse_sd": 0.00123}, "nrmse")
    '0.0761 ± 0.0012'
    >>> mean_and_spread({"nrmse": 0.3}, "nrmse"), mean_and_spread({}, "nrmse")
    ('0.300', 'withheld')
    """
    if name not in row:
        return "withheld"
    value, spread = row[name], row.get(f"{name}_sd")
    size = max(abs(value), abs(spread or 0.0))
    form = f".{max(0, 2 - math.floor(math.log10(size)))}f" if size > 1e-4 else ".2g"
    return f"{value:{form}}" + (f" ± {spread:{form}}" if spread is not None else "")


def contrasts_table(rows: Mapping[str, Mapping[str, Any]], plan: Preregistration) -> Table:
    """Return every contrast of one model with the baseline.

    `rows` are the entries of metrics/stats.json by endpoint; the primary comes first.
    """
    cells = []
    for name in sorted(rows, key=lambda name: name != plan.primary):
        row, frames = rows[name], " frames" if name == "ind_valid_time" else ""
        low, high, first, last = (
            row[key] if isinstance(row[key], str) else _effect(name, row[key])
            for key in ("ci_low", "ci_high", "cs_low", "cs_high")
        )
        detectable = f"{row['detectable']:.2f}" if frames else percent(row["detectable"])
        cells.append(
            (
                contrast_label(name) + (" (primary)" if name == plan.primary else ""),
                f"{_effect(name, row['estimate'])}{frames}",
                f"{low} to {high}",
                first if first == last else f"{first} to {last}",
                *(p_value(row[key]) for key in ("p", "q", "p_equivalence")),
                f"{row['e_value']:.3g}",
                p_value(row["sign_flip_p"]),
                f"{row['hedges_gz']:+.2f}",
                f"{detectable}{frames}",
                f"{row['variance_share']:.0%}" if "variance_share" in row else "-",
                f"{row['n']:.0f}",
                "yes" if row["q"] < plan.alpha else "no",
            )
        )
    level = f"{1 - plan.alpha:.0%}"
    intervals = (f"{level} t interval", f"{level} sequence")
    tests = ("p", "q", "p of equivalence", "e-value", "sign-flip p", "Hedges' g")
    header = ("endpoint", "ratio of errors", *intervals, *tests, "detectable", "share of variance")
    caption = (
        "Contrasts, model / baseline. Below 1 the model errs less; the valid time is a difference. "
        "The t interval holds at one look, the confidence sequence and the e-value at every one. "
        f"Equivalence: within {percent(plan.margin)}, or {plan.margin_frames:g} frames. "
        f"Detectable: by a t test at the spread observed, with a probability of {plan.power:.0%}. "
        f"Share: of an axis in the variance of the primary endpoint. Found: q < {plan.alpha:g}, "
        "by Benjamini-Hochberg over the secondary endpoints, by Holm over models of the primary."
    )
    return Table(caption, (*header, "n", "difference found"), tuple(cells))


def _effect(endpoint: str, d: float) -> str:
    """Return a difference of frames as it is, and one of logarithms as a ratio of errors."""
    return f"{d:+.2f}" if endpoint == "ind_valid_time" else f"{math.exp(d):.3f}"


def parity_rows(counts: Mapping[str, Any], models: Sequence[str]) -> Cells:
    """Return each model's size and its distance from the baseline, from metrics/parity.json."""
    rows = []
    for model in models:
        row, cells = counts[model], [model_label(model)]
        for size in ("params", "macs"):
            gap = row.get(f"{size}_gap")
            cells += [f"{row[size]:,}", "baseline" if gap is None else f"{gap:+.1%}"]
        rows.append(tuple(cells))
    return rows


def tuning_rows(trials: Sequence[Trial], repeats: Sequence[Trial], models: Sequence[str]) -> Cells:
    """Return the two best trials of each model and their repeats.

    `trials` and `repeats` are tuning/trials.csv and tuning/repeats.csv.
    """
    rows: Cells = []
    searched, again = trials_by_model(trials), trials_by_model(repeats)
    for model in models:
        best = zip(("best", "second"), ranked(searched.get(model, [])), strict=False)
        for place, trial in best:
            runs = [row for row in again.get(model, []) if row["trial"] == trial["trial"]]
            steps = min((int(row["steps"]) for row in runs), default=0)
            same = [trial, *(row for row in runs if int(row["steps"]) == steps)]
            error, *errors = (f"{float(row['valid_nrmse']):.4f}" for row in same)
            pair = str(trial["lr"]), str(trial["weight_decay"])
            rows.append((model_label(model), place, *pair, error, ", ".join(errors) or "-"))
    return rows


def probe_tables(found: Mapping[str, Any], models: Sequence[str]) -> dict[str, Table]:
    """Return each probe's table of statistics, from metrics/probes.json."""
    tables = {}
    for probe in dict.fromkeys(name for model in models for name in found.get(model, {})):
        by_model = [found.get(model, {}).get(probe, {}) for model in models]
        names = dict.fromkeys(name for row in by_model for name in row)
        rows = [
            (name.replace("_", " "), *(mean_and_spread(row, name) for row in by_model))
            for name in names
            if not name.endswith("_sd")
        ]
        caption = f"Probe {probe}; mean ± standard deviation over replicates."
        tables[probe] = Table(caption, ("statistic", *map(model_label, models)), tuple(rows))
    return tables


def correlations_rows(stats: Mapping[str, Any]) -> Cells:
    """Return the tested correlations of probe statistics with the OOD error."""
    return [
        (
            name,
            f"{row['rho']:+.2f}",
            f"{row['ci_low']:+.2f} to {row['ci_high']:+.2f}",
            p_value(row["p"]),
            p_value(row["q"]),
        )
        for name, row in stats.get("spearman", {}).items()
        if isinstance(row, Mapping)
    ]


def deviations_rows(found: Sequence[Deviation], log: Sequence[Mapping[str, str]]) -> Cells:
    """Return every deviating parameter and its last reason in the log."""
    reasons = {entry["key"]: entry.get("reason", "") for entry in log if "key" in entry}
    return [
        (d.key, plain(d.frozen), plain(d.running), reasons.get(d.key, "no entry in the log"))
        for d in found
    ]


def amendments_rows(log: Sequence[Mapping[str, str]]) -> Cells:
    """Return every amendment of the preregistration in the deviation log."""
    return [
        (entry.get("date", ""), entry["sha256"][:12], entry.get("reason", ""))
        for entry in log
        if "sha256" in entry
    ]


def runs_by_machine(
    records: Mapping[str, Mapping[str, Any]],
) -> dict[tuple[tuple[str, str], ...], list[str]]:
    """Return the runs of each class of bytes and versions, from every run's provenance.yaml."""
    runs: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for run, record in records.items():
        described = tuple((k, v) for k, v in record.items() if isinstance(v, str))
        runs.setdefault(described, []).append(run)
    return runs


def machines_rows(records: Mapping[str, Mapping[str, Any]]) -> Cells:
    """Return each class of bytes and versions once, with its runs, from every provenance.yaml."""
    described = runs_by_machine(records).items()
    return [row for fields, runs in described for row in (("runs", ", ".join(runs)), *fields)]
