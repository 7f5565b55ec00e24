"""Cells of the report's tables, as text; templates/tables.html has those that need no more."""

from collections.abc import Mapping, Sequence
from typing import Any

from chimera.study.labels import model_label
from chimera.study.tables import mean_and_spread
from chimera.tuning.table import Trial, ranked, trials_by_model

Cells = list[tuple[str, ...]]  # the rows of a table, the first cell of which names the row


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


def probe_rows(found: Mapping[str, Any], models: Sequence[str]) -> dict[str, Cells]:
    """Return the means and spreads of every probe by statistic, from metrics/probes.json."""
    rows = {}
    for probe in dict.fromkeys(name for model in models for name in found.get(model, {})):
        by_model = [found.get(model, {}).get(probe, {}) for model in models]
        rows[probe] = [
            (name.replace("_", " "), *(mean_and_spread(row, name) for row in by_model))
            for name in dict.fromkeys(name for row in by_model for name in row)
            if not name.endswith("_sd")
        ]
    return rows


def runs_by_machine(
    records: Mapping[str, Mapping[str, Any]],
) -> dict[tuple[tuple[str, str], ...], list[str]]:
    """Return the runs of each class of bytes and versions, from every run's provenance.yaml."""
    runs: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for run, record in records.items():
        described = tuple((k, v) for k, v in record.items() if isinstance(v, str))
        runs.setdefault(described, []).append(run)
    return runs
