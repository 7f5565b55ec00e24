"""Means over replicates, and seed-to-seed standard deviations (`_sd`, n - 1 in the denominator)."""

from collections.abc import Mapping, Sequence
from itertools import product
from statistics import fmean, stdev
from typing import Any

from chimera.study.endpoints import endpoint
from chimera.study.error_table import METRICS, Errors, Runs

Statistics = Mapping[tuple[str, int], Mapping[str, Mapping[str, float]]]  # by run and probe


def run_metrics(
    errors: Errors, axes: int, weights: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Return `<axis>.<metric>` of one run and, if it has all axes, `ood.<metric>` and `gap`."""
    table = {axis: {m: fmean(values[m]) for m in METRICS} for axis, values in errors.items()}
    ood = [row for axis, row in table.items() if axis != "ind"] if len(table) == axes else []
    if ood:
        table["ood"] = {m: fmean(row[m] for row in ood) for m in METRICS}
    flat = {f"{axis}.{m}": value for axis, row in table.items() for m, value in row.items()}
    return flat | ({"gap": endpoint("gap", errors, weights)} if ood else {})


def summarise(runs: Runs, weights: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Return `{forecaster: {axis: {metric: mean}, "gap": mean}}` over replicates, with `_sd`."""
    axes = max(map(len, runs.values()))
    replicates: dict[str, list[dict[str, float]]] = {}
    for (name, _), errors in runs.items():
        replicates.setdefault(name, []).append(run_metrics(errors, axes, weights))
    summary: dict[str, Any] = {}
    for forecaster, rows in replicates.items():
        for name, value in mean_and_sd(rows).items():
            axis, _, metric = name.rpartition(".")
            row = summary.setdefault(forecaster, {})
            (row.setdefault(axis, {}) if axis else row)[metric] = value
    return summary


def mean_and_sd(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean of every name and, if two rows have it, `<name>_sd`.

    >>> mean_and_sd([{"a": 1.0, "b": 2.0}, {"a": 3.0}])
    {'a': 2.0, 'b': 2.0, 'a_sd': 1.4142135623730951}
    """
    values: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            values.setdefault(name, []).append(value)
    spread = {f"{name}_sd": stdev(found) for name, found in values.items() if len(found) > 1}
    return {name: fmean(found) for name, found in values.items()} | spread


def read_statistics(rows: Sequence[Mapping[str, str]], params: Mapping[str, Any]) -> Statistics:
    """Return a study's statistics from the rows of metrics/statistics.csv; others stay out."""
    runs = product(params["model_names"], params["replicates"])
    found = {run: {probe: dict[str, float]() for probe in params["probe_names"]} for run in runs}
    for row in rows:
        probes = found.get((row["model"], int(row["replicate"])), {})
        if row["probe"] in probes:
            probes[row["probe"]][row["statistic"]] = float(row["value"])
    return found


def summarise_probes(runs: Statistics) -> dict[str, dict[str, dict[str, float]]]:
    """Return `{model: {probe: {statistic: mean}}}` over the replicates that have it, with `_sd`."""
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    for (model, _), probes in runs.items():
        for probe, statistics in probes.items():
            found.setdefault(model, {}).setdefault(probe, []).append(dict(statistics))
    return {
        model: {probe: means for probe, rows in probes.items() if (means := mean_and_sd(rows))}
        for model, probes in found.items()
    }
