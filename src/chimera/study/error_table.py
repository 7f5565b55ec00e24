"""The errors of every forecaster on every test trajectory, in one table.

An evaluation, written by the stage `evaluate`, is
`{forecaster: {dataset: {metric: [value per trajectory or frame]}}}`, where the forecaster is
`model` or a baseline. The table, metrics/errors.csv, has a row for each forecaster, replicate, axis
and trajectory; a baseline is not trained and has replicate 0 only. The baselines that know the
physics are missing on the axes of user data.
"""

from collections.abc import Mapping, Sequence

from chimera.files.artifacts import Row
from chimera.study.axes import datasets_by_axis

METRICS = ("nrmse", "vrmse", "rmse_low", "rmse_mid", "rmse_high", "rollout_nrmse", "valid_time")
BASELINES = ("persistence", "linear", "solver_64", "solver_48", "solver_32")

Evaluation = Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]
Evaluations = Mapping[tuple[str, int], Evaluation]
Errors = Mapping[str, Mapping[str, Sequence[float]]]  # metric values of trajectories, by axis
Runs = Mapping[tuple[str, int], Errors]  # by forecaster and replicate


def evaluated(runs: Evaluations, datasets: Sequence[str]) -> dict[tuple[str, int], Errors]:
    """Return the values of every (forecaster, replicate) by axis, the baselines last."""
    axes = datasets_by_axis(datasets)
    found: dict[tuple[str, int], Errors] = {
        cell: {axis: evaluation["model"][dataset] for axis, dataset in axes.items()}
        for cell, evaluation in runs.items()
    }
    first = next(iter(runs.values()))
    for name in BASELINES:
        if name in first:
            known = {a: first[name][d] for a, d in axes.items() if d in first[name]}
            found[name, 0] = known
    return found


def error_rows(runs: Evaluations, datasets: Sequence[str]) -> list[Row]:
    """Return the table: `model`, `replicate`, `axis`, `trajectory` and METRICS."""
    return _rows(evaluated(runs, datasets), "trajectory", 0, {metric: metric for metric in METRICS})


def frame_rows(runs: Evaluations, datasets: Sequence[str]) -> list[Row]:
    """Return the error and correlation of rollouts by forecaster, replicate, axis and frame."""
    columns = {"nrmse": "frame_nrmse", "correlation": "frame_correlation"}
    return _rows(evaluated(runs, datasets), "frame", 1, columns)


def _rows(found: Runs, index: str, first: int, columns: Mapping[str, str]) -> list[Row]:
    """Return a row for each value of the metrics that the columns show, counted from `first`."""
    return [
        Row(model=name, replicate=replicate, axis=axis)
        | {index: number}
        | dict(zip(columns, row, strict=True))
        for (name, replicate), by_axis in found.items()
        for axis, values in by_axis.items()
        for number, row in enumerate(
            zip(*(values[of] for of in columns.values()), strict=True), first
        )
    ]


def read_errors(rows: Sequence[Mapping[str, str]]) -> Runs:
    """Return the values of every (forecaster, replicate) from the rows of metrics/errors.csv."""
    found: dict[tuple[str, int], dict[str, dict[str, list[float]]]] = {}
    for row in rows:
        run = found.setdefault((row["model"], int(row["replicate"])), {})
        values = run.setdefault(row["axis"], {metric: [] for metric in METRICS})
        for metric in METRICS:
            values[metric].append(float(row[metric]))
    return found
