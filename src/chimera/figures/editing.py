"""Repair and drift of edits of one convolution, from metrics/tables/rome.csv.

With e the norm of an error before the edit and e' after it, the part repaired is 1 - e' / e, and
the IND drift is e' / e - 1 on held-out IND samples.
"""

from collections.abc import Sequence

from matplotlib.figure import Figure

from chimera.figures import style
from chimera.study.labels import model_label

METHOD_MARKS = {
    "rome": ("o", "ROME"),
    "identity": ("s", "ROME, C = I"),
    "low_rank": ("D", "low rank"),
    "gradient": ("^", "gradient"),
    "unpreserved": ("v", "ROME, nothing preserved"),
}
PARTS = {
    "efficacy": "the failing forecast",
    "later_frames": "later frames",
    "other_trajectories": "other trajectories",
}


def edit_tradeoff(rows: style.Rows, models: Sequence[str]) -> Figure:
    """Draw the part of an error repaired against the IND drift, and against the patching effect.

    A point for each run and axis: of all methods at the chosen layer, and of ROME at every layer.
    Rows have model, method, chosen, effect, ind_drift and PARTS.
    """
    if not rows:
        return style.message("No edits: the probe `rome` has not run")
    figure = Figure(figsize=(style.WIDTH, 3.4))
    *panels, last = figure.subplots(1, len(PARTS) + 1, sharey=True)
    for panel, (column, title) in zip(panels, PARTS.items(), strict=True):
        panel.axhline(0, color="0.8", linewidth=0.8)
        panel.axvline(0, color="0.8", linewidth=0.8)
        for model, colour in style.model_colours(models).items():
            for method, (marker, name) in METHOD_MARKS.items():
                found = style.where(rows, model=model, method=method, chosen="1")
                panel.plot(
                    *style.points(found, "ind_drift", column),
                    marker,
                    markersize=4.5,
                    alpha=0.75,
                    markeredgecolor=colour,
                    markerfacecolor=colour if method == "rome" else "none",
                    label=f"{model_label(model)}, {name}",
                )
        panel.set_title(title, color=style.GREY)
        panel.set_xscale("symlog", linthresh=0.1)
        panel.tick_params(axis="x", labelsize=7)
    for model, colour in style.model_colours(models).items():
        found = style.where(rows, model=model, method="rome")
        last.plot(*style.points(found, "effect", "efficacy"), "o", markersize=4.5, color=colour)
    last.set_title("the failing forecast,\nevery layer", color=style.GREY)
    last.set_xlabel("patching effect\n(dimensionless)", fontsize=7.5)
    panels[0].set_ylabel("part of the error repaired\n1 - e' / e (dimensionless)")
    panels[1].set_xlabel("IND drift: relative rise of the IND error (dimensionless)", fontsize=7.5)
    style.legend(figure, panels, columns=len(models))
    return figure
