"""One-step error of every forecaster on IND and on every OOD axis, from metrics/errors.csv.

nRMSE = ||prediction - target|| / ||target||.
"""

from collections.abc import Sequence

from matplotlib.figure import Figure

from chimera.figures import style
from chimera.study.labels import axis_label, model_label

BASELINE_MARKS = {
    "persistence": ("_", "persistence (nothing changes)"),
    "linear": ("x", "linear (the flow without advection)"),
    "solver_64": ("^", "solver on 64² (knows the equation)"),
    "solver_48": ("D", "solver on 48² (knows the equation)"),
    "solver_32": ("s", "solver on 32² (knows the equation)"),
}


def errors_by_axis(rows: style.Rows, models: Sequence[str]) -> Figure:
    """Draw one-step nRMSE by axis: a point for each replicate, a bar at the mean, the baselines.

    Rows have model, replicate, axis, nrmse; models that are not in `models` are baselines.
    """
    figure = Figure(figsize=(style.WIDTH, 3.6))
    panel = figure.add_subplot()
    axes = style.distinct(rows, "axis")
    width = 0.7 / max(len(models), 1)
    for i, (model, colour) in enumerate(style.model_colours(models).items()):
        for position, axis in enumerate(axes):
            values = [float(row["nrmse"]) for row in style.where(rows, model=model, axis=axis)]
            x = position + (i - (len(models) - 1) / 2) * width
            mean = sum(values) / len(values)
            panel.bar(x, mean, 0.9 * width, color=colour, alpha=0.3, label=model_label(model))
            panel.plot([x] * len(values), values, "o", color=colour, markersize=4)
    for baseline, (marker, name) in BASELINE_MARKS.items():
        found = style.where(rows, model=baseline)  # `linear` needs a flow whose physics is known
        panel.plot(
            [axes.index(row["axis"]) for row in found],
            [float(row["nrmse"]) for row in found],
            marker,
            color="0.35",
            markersize=24 if marker == "_" else 7,
            markerfacecolor="none",
            markeredgewidth=1.5,
            label=name if found else None,
        )
    panel.set_xticks(range(len(axes)), [axis_label(axis, "\n") for axis in axes])
    panel.set_ylabel("one-step nRMSE (dimensionless)")
    panel.set_ylim(bottom=0)
    style.legend(figure, [panel], columns=3, markerscale=0.7, columnspacing=1.2)
    return figure
