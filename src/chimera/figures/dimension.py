"""Intrinsic dimension of the activations by depth, from metrics/tables/twonn.csv."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from chimera.figures import style
from chimera.study.labels import axis_label, model_label


def dimension_along_network(rows: style.Rows, models: Sequence[str], estimator: str) -> Figure:
    """Draw the dimension at every site, a point for each replicate; a line joins the blocks' means.

    Rows have model, replicate, axis, site, depth, estimator, dimension; each has a panel.
    """
    shown = style.where(rows, estimator=estimator)
    if not shown:
        why = "has not run, or withheld every site for want of independent samples"
        return style.message(f"No intrinsic dimension: the probe `twonn` {why}")
    models = style.present(shown, models)
    figure = Figure(figsize=(style.WIDTH, 0.7 + 2.6 * len(models)))
    panels = figure.subplots(len(models), 1, sharey=True, squeeze=False)[:, 0]
    colours = style.axis_colours(style.distinct(shown, "axis"))
    for panel, model in zip(panels, models, strict=True):
        here = style.where(shown, model=model)
        for axis, colour in colours.items():
            on_axis = style.where(here, axis=axis)
            points = style.points(on_axis, "depth", "dimension")
            panel.plot(*points, "o", color=colour, markersize=2.2, alpha=0.6)
            line = style.means(style.along(on_axis), "depth", "dimension")
            panel.plot(*line, color=colour, linewidth=1, label=axis_label(axis))
        style.mark_sites(panel, here)
        panel.set_title(model_label(model), loc="left")
    panels[0].set_ylim(bottom=0)  # after drawing, as it ends the autoscaling of every panel
    figure.supylabel("intrinsic dimension (dimensionless)", fontsize=9)
    figure.supxlabel("site, in the order of the forward pass", fontsize=9)
    style.legend(figure, panels, columns=3)
    return figure
