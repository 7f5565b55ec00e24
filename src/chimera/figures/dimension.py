"""Intrinsic dimension of the activations along the network, from metrics/tables/twonn.csv."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from chimera.figures.labels import axis_label, model_label
from chimera.figures.style import (
    WIDTH,
    Rows,
    axis_colours,
    distinct,
    legend,
    mark_sites,
    means,
    message,
    where,
)


def dimension_along_network(rows: Rows, models: Sequence[str], estimator: str) -> Figure:
    """Draw the dimension at every site: a point for each replicate, a line through their means.

    Args:
        rows: metrics/tables/twonn.csv: model, replicate, axis, site, depth, estimator, dimension.
        models: The trained models, in order: a panel each.
        estimator: The one that is drawn.
    """
    shown = where(rows, estimator=estimator)
    if not shown:
        return message(
            "No intrinsic dimension: the probe `twonn` has not run, or withheld every site "
            "for want of independent samples"
        )
    figure = Figure(figsize=(WIDTH, 0.7 + 2.6 * len(models)))
    panels = figure.subplots(len(models), 1, sharey=True, squeeze=False)[:, 0]
    colours = axis_colours(distinct(shown, "axis"))
    for panel, model in zip(panels, models, strict=True):
        here = where(shown, model=model)
        for axis, colour in colours.items():
            on_axis = where(here, axis=axis)
            points = [float(r["depth"]) for r in on_axis], [float(r["dimension"]) for r in on_axis]
            panel.plot(*points, "o", color=colour, markersize=2.2, alpha=0.6)
            line = means(on_axis, "depth", "dimension")
            panel.plot(*line, color=colour, linewidth=1, label=axis_label(axis))
        mark_sites(panel, here)
        panel.set_title(model_label(model), loc="left")
    panels[0].set_ylim(bottom=0)  # once all is drawn: it ends the scaling of every panel
    figure.supylabel("intrinsic dimension (dimensionless)", fontsize=9)
    figure.supxlabel("site, in the order of the forward pass", fontsize=9)
    legend(figure, panels, columns=3)
    return figure
