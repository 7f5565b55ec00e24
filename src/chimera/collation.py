"""Collate the evaluations of all runs into one summary.

A mean over replicates is a mean of independently trained networks; its spread (`_sd`, n - 1 in the
denominator) is the seed-to-seed standard deviation. The generalisation gap of a model is

    gap = ln(nRMSE_OOD / nRMSE_IND),    nRMSE_OOD = mean over the OOD axes.

An evaluation is `{forecaster: {dataset: {metric: [value per trajectory], ...}}}`.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from chimera.evaluation import METRICS

Evaluation = Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]
BASELINES = ("persistence", "linear")


def axis_name(dataset: str, datasets: Sequence[str]) -> str:
    """Return `ind` for the first dataset and `ood_<axis>` for every other.

    >>> axis_name("cfd2d_ood_viscosity_v1", ["cfd2d_ind_v1", "cfd2d_ood_viscosity_v1"])
    'ood_viscosity'
    """
    if dataset == datasets[0]:
        return "ind"
    name = dataset.removeprefix("cfd2d_")
    stem, _, version = name.rpartition("_v")
    if stem and version.isdigit():
        name = stem
    return name if name.startswith("ood_") else f"ood_{name}"


def forecaster_metrics(
    by_dataset: Mapping[str, Mapping[str, Sequence[float]]], datasets: Sequence[str]
) -> dict[str, float]:
    """Return the flat metrics of one forecaster in one run, `<axis>.<metric>` and `gap`.

    Args:
        by_dataset: Values per trajectory, by dataset and metric.
        datasets: IND first, then the OOD axes; `ood.*` and `gap` are absent without any.
    """
    table = {
        axis_name(dataset, datasets): {m: fmean(by_dataset[dataset][m]) for m in METRICS}
        for dataset in datasets
    }
    axes = [axis for axis in table if axis != "ind"]
    if axes:
        table["ood"] = {m: fmean(table[axis][m] for axis in axes) for m in METRICS}
    flat = {f"{axis}.{m}": value for axis, row in table.items() for m, value in row.items()}
    if axes:
        flat["gap"] = math.log(table["ood"]["nrmse"] / table["ind"]["nrmse"])
    return flat


def summarise(
    runs: Mapping[str, Sequence[Evaluation]], datasets: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return `{forecaster: {name: value}}` over all runs.

    Args:
        runs: Evaluations of the replicates, by model. Baselines are the same in each; the first
            run's are taken.
        datasets: IND first, then the OOD axes.

    Returns:
        For each model the mean over replicates and, from two replicates on, `<name>_sd`; `gap` is
        that of the mean errors. For each baseline its value.
    """
    summary: dict[str, dict[str, float]] = {}
    for model, evaluations in runs.items():
        replicates = [forecaster_metrics(e["model"], datasets) for e in evaluations]
        row: dict[str, float] = {}
        for name in replicates[0]:
            values = [replicate[name] for replicate in replicates]
            row[name] = fmean(values)
            if len(values) > 1:
                row[f"{name}_sd"] = stdev(values)
        if "gap" in row:
            row["gap"] = math.log(row["ood.nrmse"] / row["ind.nrmse"])
        summary[model] = row
    first = next(iter(runs.values()))[0]
    for baseline in BASELINES:
        summary[baseline] = forecaster_metrics(first[baseline], datasets)
    return summary
