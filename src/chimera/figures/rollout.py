"""Error and correlation over a rollout, from metrics/tables/rollout.csv."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from chimera.figures import style
from chimera.study.labels import axis_label, model_label


def rollout_curves(
    rows: style.Rows, models: Sequence[str], frame_interval: float, valid_correlation: float
) -> Figure:
    """Draw error and correlation over a rollout: a column for each axis, a line for each run.

    Rows have model, replicate, axis, frame, nrmse, correlation; the interval is in the solver's
    unit of time, and the correlation below which a rollout is not valid is drawn as a line.
    """
    axes = style.distinct(rows, "axis")
    figure = Figure(figsize=(max(style.WIDTH, 1.2 * len(axes)), 3.8))
    panels = figure.subplots(2, len(axes), sharex=True, sharey="row", squeeze=False)
    timed = [row | {"time": str(float(row["frame"]) * frame_interval)} for row in map(dict, rows)]
    styles = {"persistence": style.GREY} | style.model_colours(models)
    for column, axis in enumerate(axes):
        for name, panel in zip(("nrmse", "correlation"), panels[:, column], strict=True):
            for model, colour in styles.items():
                runs = style.where(timed, axis=axis, model=model)
                line = {"color": colour, "linewidth": 1.0, "label": model_label(model)}
                style.draw_runs(panel, runs, "time", name, **line)
        panels[0, column].set_title(axis_label(axis, "\n"))
        style.plain_log_scale(panels[0, column], "y", (1, 3))
        panels[1, column].locator_params(axis="x", nbins=3, integer=True)
        panels[1, column].axhline(valid_correlation, color="0.7", linewidth=0.8, linestyle=":")
    panels[0, 0].set_ylabel("nRMSE\n(dimensionless)")
    panels[1, 0].set_ylabel("correlation\n(dimensionless)")
    figure.supxlabel("time since the last true frame (solver's unit of time)", fontsize=9)
    style.legend(figure, panels.flat)
    return figure
