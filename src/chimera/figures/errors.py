"""One-step error of every forecaster, in distribution and along each axis out of it.

nRMSE = ||prediction - target|| / ||target||, from metrics/errors.csv.
"""

from collections.abc import Sequence

from matplotlib.figure import Figure

from chimera.figures.labels import axis_label, model_label
from chimera.figures.style import (
    WIDTH,
    Rows,
    distinct,
    legend,
    model_colours,
    where,
)

BASELINES = {
    "persistence": ("_", "persistence (nothing changes)"),
    "linear": ("x", "linear (the flow without advection)"),
}


def errors_by_axis(rows: Rows, models: Sequence[str]) -> Figure:
    """Draw one-step nRMSE by axis: a point for each replicate, a bar at the mean, the baselines.

    Args:
        rows: metrics/errors.csv: model, replicate, axis, nrmse.
        models: The trained models, in order; every other name in `rows` is a baseline.
    """
    figure = Figure(figsize=(WIDTH, 3.6))
    panel = figure.add_subplot()
    axes = distinct(rows, "axis")
    width = 0.7 / max(len(models), 1)
    for i, (model, colour) in enumerate(model_colours(models).items()):
        label: str | None = model_label(model)
        for position, axis in enumerate(axes):
            values = [float(row["nrmse"]) for row in where(rows, model=model, axis=axis)]
            x = position + (i - (len(models) - 1) / 2) * width
            mean = sum(values) / len(values)
            panel.bar(x, mean, 0.9 * width, color=colour, alpha=0.3, label=label)
            panel.plot([x] * len(values), values, "o", color=colour, markersize=4)
            label = None
    for baseline, (marker, name) in BASELINES.items():
        found = where(rows, model=baseline)  # `linear` needs a flow whose physics is known
        panel.plot(
            [axes.index(row["axis"]) for row in found],
            [float(row["nrmse"]) for row in found],
            marker,
            color="0.35",
            markersize=24 if marker == "_" else 6,
            markeredgewidth=1.5,
            label=name if found else None,
        )
    panel.set_xticks(range(len(axes)), [axis_label(axis, "\n") for axis in axes])
    panel.set_ylabel("one-step nRMSE (dimensionless)")
    panel.set_ylim(bottom=0)
    legend(figure, [panel], columns=len(models) + 2, markerscale=0.5, columnspacing=1.2)
    return figure
