"""One-step error against training data and against training compute, from curves/errors.csv."""

from collections.abc import Sequence
from itertools import cycle, product
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chimera.figures import style
from chimera.study.labels import model_label

_TITLES = {"ind": "IND", "ood": "OOD, mean over axes"}
# The horizontal axis with its unit and label, and what the points of a line have in common.
_COLUMNS = (
    ("trajectories", 1, "training trajectories (count)", "steps"),
    ("macs", 1e9, "training compute (10⁹ MACs)", "trajectories"),
)
_MARKERS = "osD^vPX*"


def learning_curves(rows: style.Rows, models: Sequence[str], replicates: int) -> Figure:
    """Draw means with bars of one standard deviation over replicates, IND above OOD.

    Rows have model, axis, trajectories, steps, macs, nrmse, nrmse_sd.
    """
    axes = [axis for axis in _TITLES if style.where(rows, axis=axis)]
    figure = Figure(figsize=(style.WIDTH, 0.6 + 2.7 * len(axes)))
    panels = figure.subplots(len(axes), 2, squeeze=False, sharex="col", sharey="row")
    for axis, pair in zip(axes, panels, strict=True):
        for panel, (x, unit, label, shared) in zip(pair, _COLUMNS, strict=True):
            _draw(panel, style.where(rows, axis=axis), models, x, unit, shared)
            panel.set_title(_TITLES[axis])
            panel.set_xlabel(label)
        spread = f"\nmean ± sd of {replicates} replicates" if replicates > 1 else ""
        pair[0].set_ylabel(f"one-step nRMSE (dimensionless){spread}")
    style.legend(figure, panels.flat)
    return figure


def _draw(
    panel: Axes, rows: style.Rows, models: Sequence[str], x: str, unit: float, shared: str
) -> None:
    groups = dict(zip(sorted({row[shared] for row in rows}), cycle(_MARKERS), strict=False))
    colours, form = style.model_colours(models), dict[str, Any](markersize=4, linewidth=1)
    for (value, marker), model in product(groups.items(), models):
        line = sorted(style.where(rows, model=model, **{shared: value}), key=lambda row: row[x])
        points, errors = [row[x] / unit for row in line], [row["nrmse"] for row in line]
        spreads = [row["nrmse_sd"] or 0.0 for row in line]
        about = {"label": model_label(model), "color": colours[model], "marker": marker}
        panel.errorbar(points, errors, spreads, capsize=2, **form | about)
    grey = form | {"color": style.GREY}
    handles = [panel.plot([], [], marker=marker, **grey)[0] for marker in groups.values()]
    panel.legend(handles, [f"{value} {shared}" for value in groups], fontsize=7)
    for which in "xy":
        style.plain_log_scale(panel, which, (1, 2, 3, 5))
