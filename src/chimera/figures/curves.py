"""One-step error against training data and against training compute, from curves/errors.csv."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from chimera.figures import style
from chimera.study.labels import model_label

_TITLES = {"ind": "IND", "ood": "OOD, mean over axes"}
# The horizontal axis, its label, what each line has in common, and how that is written.
_COLUMNS = (
    ("trajectories", "training trajectories (count)", "steps", "{} steps"),
    ("macs", "training compute (10⁹ MACs)", "trajectories", "{} trajectories"),
)
_UNITS = {"macs": 1e9}
_MARKERS = "osD^vPX*"


def learning_curves(rows: style.Rows, models: Sequence[str], replicates: int) -> Figure:
    """Draw means with bars of one standard deviation over replicates, IND above OOD.

    Rows have model, axis, trajectories, steps, macs, nrmse, nrmse_sd. On the left a line joins
    trainings of as many steps, on the right those on as many trajectories.
    """
    axes = [axis for axis in _TITLES if any(row["axis"] == axis for row in rows)]
    figure = Figure(figsize=(style.WIDTH, 0.6 + 2.7 * len(axes)))
    panels = figure.subplots(len(axes), 2, squeeze=False, sharex="col", sharey="row")
    for axis, pair in zip(axes, panels, strict=True):
        for panel, column in zip(pair, _COLUMNS, strict=True):
            _draw(panel, style.where(rows, axis=axis), models, column)
            panel.set_title(_TITLES[axis])
        of = f"\nmean ± sd of {replicates} replicates" if replicates > 1 else ""
        pair[0].set_ylabel(f"one-step nRMSE (dimensionless){of}")
    for panel, (_, label, _, _) in zip(panels[-1], _COLUMNS, strict=True):
        panel.set_xlabel(label)
    style.legend(figure, panels.flat)
    return figure


def _draw(
    panel: Axes, rows: style.Rows, models: Sequence[str], column: tuple[str, str, str, str]
) -> None:
    x, _, shared, text = column
    values = sorted({int(row[shared]) for row in rows})
    for model, colour in style.model_colours(models).items():
        for i, value in enumerate(values):
            line = [r for r in rows if r["model"] == model and int(r[shared]) == value]
            if not line:
                continue
            line.sort(key=lambda row: float(row[x]))
            points, errors = style.points(line, x, "nrmse")
            panel.errorbar(
                [point / _UNITS.get(x, 1) for point in points],
                errors,
                yerr=[float(row["nrmse_sd"] or 0) for row in line],
                color=colour,
                marker=_MARKERS[i % len(_MARKERS)],
                markersize=4,
                linewidth=1,
                capsize=2,
                alpha=0.85,
                label=model_label(model),
            )
    handles = [
        Line2D([], [], color=style.GREY, marker=_MARKERS[i % len(_MARKERS)], markersize=4)
        for i in range(len(values))
    ]
    panel.legend(handles, [text.format(value) for value in values], fontsize=7)
    style.plain_log_scale(panel, "y", (1, 2, 3, 5))
    style.plain_log_scale(panel, "x", (1, 2, 5))
    if x == "trajectories":
        panel.set_xticks(sorted({int(row[x]) for row in rows}))
