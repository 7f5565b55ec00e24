"""Repair and drift of closed-form edits of one convolution, from metrics/tables/rome.csv.

With e the norm of an error before the edit and e' after it, the part repaired is 1 - e' / e, and
the IND drift is e' / e - 1 on held-out IND samples.
"""

from collections.abc import Sequence

from matplotlib.figure import Figure

from chimera.figures import style
from chimera.study.labels import model_label

METHOD_MARKS = {
    "rome": ("o", "edit"),
    "gradient": ("^", "gradient step of equal efficacy"),
    "identity": ("s", "edit with C = I"),
}
PARTS = {
    "efficacy": "the failing forecast",
    "later_frames": "later frames",
    "other_trajectories": "other trajectories",
}


def edit_tradeoff(rows: style.Rows, models: Sequence[str]) -> Figure:
    """Draw the part of an error repaired against the IND drift: a point for each run and axis.

    Rows have model, method, ind_drift and PARTS.
    """
    if not rows:
        return style.message("No edits: the probe `rome` has not run")
    figure = Figure(figsize=(style.WIDTH, 3.1))
    panels = figure.subplots(1, len(PARTS), sharex=True, sharey=True)
    for panel, (column, title) in zip(panels, PARTS.items(), strict=True):
        panel.axhline(0, color="0.8", linewidth=0.8)
        panel.axvline(0, color="0.8", linewidth=0.8)
        for model, colour in style.model_colours(models).items():
            for method, (marker, name) in METHOD_MARKS.items():
                found = style.where(rows, model=model, method=method)
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
        panel.locator_params(axis="x", nbins=4)
    panels[0].set_ylabel("part of the error repaired\n1 - e' / e (dimensionless)")
    figure.supxlabel("IND drift: relative rise of the IND error (dimensionless)", fontsize=9)
    style.legend(figure, panels, columns=len(models))
    return figure
