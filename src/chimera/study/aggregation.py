"""Collate the evaluations of all runs into one summary.

A mean over replicates is a mean of independently trained networks; its spread (`_sd`, n - 1 in the
denominator) is the seed-to-seed standard deviation. The generalisation gap of a model is

    gap = ln(nRMSE_OOD / nRMSE_IND),    nRMSE_OOD = mean over the OOD axes.

An evaluation is `{forecaster: {dataset: {metric: [value per trajectory or frame]}}}`, where the
forecaster is `model` or a baseline; a run is named by (model, replicate).
"""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from chimera.data.layout.axes import axis_name
from chimera.interface.errors import InputError

ByDataset = Mapping[str, Mapping[str, Sequence[float]]]
Evaluation = Mapping[str, ByDataset]
Runs = Mapping[tuple[str, int], Evaluation]
Statistics = Mapping[str, float]
Row = dict[str, str | int | float]

METRICS = ("nrmse", "vrmse", "rmse_low", "rmse_mid", "rmse_high", "rollout_nrmse", "valid_time")
BASELINES = ("persistence", "linear")


def forecaster_metrics(by_dataset: ByDataset, datasets: Sequence[str]) -> dict[str, float]:
    """Return the metrics of one forecaster in one run, as `<axis>.<metric>` and `gap`.

    Args:
        by_dataset: Values per trajectory.
        datasets: IND first, then the OOD axes; without any, `ood.<metric>` and `gap` are absent.

    Raises:
        InputError: If two datasets are of one axis, such as two versions.
    """
    table = {
        axis_name(dataset, datasets): {m: fmean(by_dataset[dataset][m]) for m in METRICS}
        for dataset in datasets
    }
    if len(table) < len(datasets):
        raise InputError(f"datasets are {', '.join(datasets)}, expected one for each axis")
    axes = [axis for axis in table if axis != "ind"]
    if axes:
        table["ood"] = {m: fmean(table[axis][m] for axis in axes) for m in METRICS}
    flat = {f"{axis}.{m}": value for axis, row in table.items() for m, value in row.items()}
    if axes:
        flat["gap"] = math.log(table["ood"]["nrmse"] / table["ind"]["nrmse"])
    return flat


def forecasters(runs: Runs) -> list[tuple[str, int, ByDataset]]:
    """Return (name, replicate, values) of every run, then of the baselines.

    A baseline is not trained: every run holds the same values, and those of the first are taken.
    `linear` is there only where the physics is known.
    """
    trained = [(model, replicate, e["model"]) for (model, replicate), e in runs.items()]
    first = next(iter(runs.values()))
    return trained + [(name, 0, first[name]) for name in BASELINES if name in first]


def summarise(runs: Runs, datasets: Sequence[str]) -> dict[str, Any]:
    """Return `{forecaster: {axis: {metric: value}, "gap": value}}`.

    Returns:
        For each model the mean over replicates and, from two replicates on, `<name>_sd`; `gap` is
        that of the mean errors. For each baseline its value.
    """
    replicates: dict[str, list[dict[str, float]]] = {}
    for name, _, by_dataset in forecasters(runs):
        replicates.setdefault(name, []).append(forecaster_metrics(by_dataset, datasets))
    summary: dict[str, Any] = {}
    for forecaster, rows in replicates.items():
        mean = {name: fmean(row[name] for row in rows) for name in rows[0]}
        if "gap" in mean:
            mean["gap"] = math.log(mean["ood.nrmse"] / mean["ind.nrmse"])
        spread = {f"{name}_sd": stdev(row[name] for row in rows) for name in mean if len(rows) > 1}
        for name, value in (mean | spread).items():
            axis, _, metric = name.rpartition(".")
            row = summary.setdefault(forecaster, {})
            (row.setdefault(axis, {}) if axis else row)[metric] = value
    return summary


def error_rows(runs: Runs, datasets: Sequence[str]) -> list[Row]:
    """Return one row per forecaster, replicate and axis: the metrics' means over trajectories."""
    rows: list[Row] = []
    for name, replicate, by_dataset in forecasters(runs):
        for dataset in datasets:
            row: Row = {
                "model": name,
                "replicate": replicate,
                "axis": axis_name(dataset, datasets),
            }
            rows.append(row | {m: fmean(by_dataset[dataset][m]) for m in METRICS})
    return rows


def rollout_rows(runs: Runs, datasets: Sequence[str]) -> list[Row]:
    """Return one row per forecaster, replicate, axis and frame 1, 2, ... of the rollout."""
    rows: list[Row] = []
    for name, replicate, by_dataset in forecasters(runs):
        for dataset in datasets:
            values = by_dataset[dataset]
            pairs = zip(values["frame_nrmse"], values["frame_correlation"], strict=True)
            for frame, (error, correlation) in enumerate(pairs, start=1):
                rows.append(
                    {
                        "model": name,
                        "replicate": replicate,
                        "axis": axis_name(dataset, datasets),
                        "frame": frame,
                        "nrmse": error,
                        "correlation": correlation,
                    }
                )
    return rows


def summarise_probes(
    runs: Mapping[tuple[str, int], Mapping[str, Statistics]],
) -> dict[str, dict[str, dict[str, float]]]:
    """Return `{model: {probe: {statistic: mean over replicates}}}`.

    Args:
        runs: For each run, named by (model, replicate), the statistics of each probe. A statistic
            that a run had to withhold is absent there; the mean is over those that have it.

    Returns:
        The means and, where two replicates have it, `<statistic>_sd`.
    """
    values: dict[tuple[str, str, str], list[float]] = {}
    for (model, _), probes in runs.items():
        for probe, statistics in probes.items():
            for name, value in statistics.items():
                values.setdefault((model, probe, name), []).append(value)
    summary: dict[str, dict[str, dict[str, float]]] = {}
    for (model, probe, name), found in values.items():
        row = summary.setdefault(model, {}).setdefault(probe, {})
        row[name] = fmean(found)
        if len(found) > 1:
            row[f"{name}_sd"] = stdev(found)
    return summary
