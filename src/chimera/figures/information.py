"""The information plane: information of each site about the output and about the input.

Mutual information by nearest neighbours (KSG) of what held-out linear decoders show, from
metrics/tables/ib.csv. Values are withheld if the error of their control, a channel of the same
information, was too large; these are drawn hollow and grey.
"""

from collections.abc import Container, Sequence

from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from chimera.figures import style
from chimera.study.labels import axis_label, model_label


def information_plane(rows: style.Rows, models: Sequence[str]) -> Figure:
    """Draw I(T; Y) against I(X; T): a point for each replicate and site, coloured by depth.

    In rows, `withheld` is 0 for what is reported, 1 where the control erred, more without a value.
    """
    if not rows:
        return style.message("No information plane: the probe `ib` has not run")
    if not _points(rows, {"0", "1"}):
        return style.message("No information plane: the probe `ib` withheld every value of a site")
    axes, models = style.distinct(rows, "axis"), style.present(rows, models)
    figure = Figure(figsize=(max(style.WIDTH, 1.2 * len(axes)), 1.4 + 1.8 * len(models)))
    panels = figure.subplots(len(models), len(axes), sharex=True, sharey=True, squeeze=False)
    colours = colormaps["viridis"]
    for panel, axis in zip(panels[0], axes, strict=True):
        panel.set_title(axis_label(axis, "\n"), pad=14)  # above the note
    for line, model in zip(panels, models, strict=True):
        depths = [float(row["depth"]) for row in style.where(rows, model=model)]
        deepest = max(depths, default=0.0) or 1.0
        for panel, axis in zip(line, axes, strict=True):
            here = style.where(rows, model=model, axis=axis)
            doubtful, reported = _points(here, {"0", "1"}), _points(here, {"0"})
            grey = {"color": "0.7", "markersize": 3, "fillstyle": "none", "markeredgewidth": 0.7}
            for site in (site for site in doubtful if site not in reported):
                panel.plot(*doubtful[site][1:], "o", label="withheld: its control erred", **grey)
            for depth, x, y in reported.values():
                panel.plot(x, y, "o", color=colours(depth / deepest), markersize=3.5)
            # The input itself has no I(X; T): it is no point of the plane.
            sites = len({(r["replicate"], r["site"]) for r in here if r["pair"] == "x_t"})
            note = {"s": f"{len(reported)} of {sites} reported", "fontsize": 7, "color": style.GREY}
            panel.text(0.5, 1.02, ha="center", transform=panel.transAxes, **note)
            panel.tick_params(labelsize=8)
        line[0].set_ylabel(model_label(model))
    figure.supxlabel("I(X; T): about the input (nats)", fontsize=9)
    figure.supylabel("I(T; Y): about the output (nats)", fontsize=9)
    scale = ScalarMappable(Normalize(0, 1), colours)
    bar = figure.colorbar(scale, ax=panels, fraction=0.03, pad=0.01)
    bar.set_label("depth, part of the forward pass (dimensionless)", fontsize=8)
    bar.ax.tick_params(labelsize=7.5)
    style.legend(figure, panels.flat)
    return figure


def _points(
    rows: style.Rows, withheld: Container[str]
) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Return (depth, I(X; T), I(T; Y)) by replicate and site, if `withheld` has both kinds."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        if row["withheld"] in withheld:
            values = found.setdefault((row["replicate"], row["site"]), {})
            values["depth"] = float(row["depth"])
            values[row["pair"]] = float(row["information"])
    return {
        site: (row["depth"], row["x_t"], row["t_y"])
        for site, row in found.items()
        if {"x_t", "t_y"} <= row.keys()
    }
