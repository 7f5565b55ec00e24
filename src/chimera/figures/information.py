"""The information plane: what each site tells of the output against what it keeps of the input.

Mutual information by nearest neighbours (KSG) of a few principal components a side, from
plots/ib.csv. A value whose Gaussian control of the same size erred by too much is withheld there
and absent here.
"""

from collections.abc import Sequence

from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from chimera.figures.style import (
    GREY,
    WIDTH,
    Rows,
    axis_label,
    distinct,
    message,
    model_label,
    where,
)


def information_plane(rows: Rows, models: Sequence[str]) -> Figure:
    """Draw I(T; Y) against I(X; T): a point for each replicate and site, coloured by depth.

    Args:
        rows: plots/ib.csv: model, replicate, axis, site, depth, pair, information, withheld (0 for
            a value that is reported).
        models: The trained models, in order: a row each.
    """
    if not rows:
        return message("No information plane: the probe `ib` has not run")
    axes = distinct(rows, "axis")
    height = 1.0 + 1.7 * len(models)
    figure = Figure(figsize=(max(WIDTH, 1.25 * len(axes)), height))
    panels = figure.subplots(len(models), len(axes), sharex=True, sharey=True, squeeze=False)
    colours = colormaps["viridis"]
    for panel, axis in zip(panels[0], axes, strict=True):
        panel.set_title(axis_label(axis, "\n"))
    for line, model in zip(panels, models, strict=True):
        deepest = max((float(row["depth"]) for row in where(rows, model=model)), default=0.0) or 1.0
        for panel, axis in zip(line, axes, strict=True):
            here = where(rows, model=model, axis=axis)
            points = _points(here)
            for depth, x, y in points:
                colour = colours(depth / deepest)
                panel.plot(x, y, "o", color=colour, markersize=3.5, alpha=0.85)
            # The input itself has no I(X; T): it is no point of the plane.
            sites = len({(r["replicate"], r["site"]) for r in here if r["pair"] == "x_t"})
            if len(points) < sites:
                note = f"{sites - len(points)} of {sites}\nwithheld"
                corner = {"x": 0.97, "y": 0.04, "ha": "right", "va": "bottom"}
                panel.text(s=note, transform=panel.transAxes, fontsize=7, color=GREY, **corner)
            panel.tick_params(labelsize=8)
        line[0].set_ylabel(model_label(model))
    figure.supxlabel("I(X; T): kept of the input (nats)", fontsize=9)
    figure.supylabel("I(T; Y): told of the output (nats)", fontsize=9)
    scale = ScalarMappable(Normalize(0, 1), colours)
    bar = figure.colorbar(scale, ax=panels, fraction=0.03, pad=0.01)
    bar.set_label("depth, part of the forward pass (dimensionless)", fontsize=8)
    bar.ax.tick_params(labelsize=7.5)
    return figure


def _points(rows: Rows) -> list[tuple[float, float, float]]:
    """Return (depth, I(X; T), I(T; Y)) of every site at which both are reported."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        if float(row["withheld"]) == 0:
            values = found.setdefault((row["replicate"], row["site"]), {})
            values["depth"] = float(row["depth"])
            values[row["pair"]] = float(row["information"])
    pairs = [row for row in found.values() if {"x_t", "t_y"} <= row.keys()]
    return [(row["depth"], row["x_t"], row["t_y"]) for row in pairs]
