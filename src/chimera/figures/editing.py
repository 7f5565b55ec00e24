"""Repair and drift of edits of one convolution, from metrics/tables/rome.csv.

With e the norm of an error before the edit and e' after it, the part repaired is 1 - e' / e, and
the IND drift is e' / e - 1 on held-out IND samples.
"""

from collections.abc import Sequence

from matplotlib.figure import Figure

from chimera.figures import style
from chimera.study.labels import model_label

METHOD_MARKS = {
    "rome": ("o", "full", "ROME"),
    "identity": ("s", "none", "ROME, C = I"),
    "low_rank": ("D", "none", "low rank"),
    "gradient": ("^", "none", "gradient"),
    "unpreserved": ("v", "none", "ROME, nothing preserved"),
}
PARTS = {
    "efficacy": "the failing forecast",
    "later_frames": "later frames",
    "other_trajectories": "other trajectories",
}


def edit_tradeoff(rows: style.Rows, models: Sequence[str]) -> Figure:
    """Draw a point for each run and axis: all methods at the chosen layer, ROME at every layer."""
    if not rows:
        return style.message("No edits: the probe `rome` has not run")
    figure = Figure(figsize=(style.WIDTH, 3.4))
    *panels, last = figure.subplots(1, len(PARTS) + 1, sharey=True)
    colours, edited = style.model_colours(models), style.present(rows, models)
    for model in edited:
        last.plot([], [], color=colours[model], linewidth=4, label=model_label(model))
    for marker, fill, name in METHOD_MARKS.values():
        last.plot([], [], marker, color=style.GREY, fillstyle=fill, label=name)
    for panel, (column, title) in zip(panels, PARTS.items(), strict=True):
        panel.axhline(0, color="0.8", linewidth=0.8)
        panel.axvline(0, color="0.8", linewidth=0.8)
        for model in edited:
            for method, (marker, fill, _) in METHOD_MARKS.items():
                found = style.where(rows, model=model, method=method, chosen="1")
                at = style.points(found, "ind_drift", column)
                look = {"markersize": 4.5, "alpha": 0.75, "color": colours[model]}
                panel.plot(*at, marker, fillstyle=fill, **look)
        panel.set_title(title, color=style.GREY)
        panel.set_xscale("symlog", linthresh=0.1)
        panel.tick_params(axis="x", labelsize=7)
    for model in edited:
        effects = style.points(style.where(rows, model=model, method="rome"), "effect", "efficacy")
        last.plot(*effects, "o", markersize=4.5, color=colours[model])
    last.set_title("failing forecast,\nevery layer", color=style.GREY)
    last.set_xlabel("patching effect\n(dimensionless)", fontsize=7.5)
    panels[0].set_ylabel("part of the error repaired\n1 - e' / e (dimensionless)")
    panels[1].set_xlabel("IND drift: relative rise of the IND error (dimensionless)", fontsize=7.5)
    style.legend(figure, [last])
    return figure
