"""One-step error against the time of a forecast, from metrics/errors.csv and plots/cost.csv."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chimera.figures import style
from chimera.planning.break_even import BATCH, Cost, grid_of, solvers
from chimera.study.labels import model_label
from chimera.study.tables import Digest, digest


def error_against_cost(
    rows: style.Rows, costs: Mapping[str, Cost], models: Sequence[str]
) -> Figure:
    """Draw each network's replicates, the solver on its grids and persistence, IND beside OOD.

    Rows have model, replicate, axis, nrmse. What has no cost is left out, and of the OOD axes those
    where a baseline is not known.
    """
    if not any(model in costs for model in models):
        return style.message("No time was measured for these networks: run `make cost`")
    names, axes = style.distinct(rows, "model"), style.distinct(rows, "axis")
    shared = [a for a in axes if all(style.where(rows, model=m, axis=a) for m in names)]
    ood = [axis for axis in shared if axis != "ind"]
    title = "OOD, mean over axes" + (" of the solver's flow" if shared != axes else "")
    groups = {"IND": ["ind"]} | ({title: ood} if ood else {})
    figure = Figure(figsize=(style.WIDTH, 3.3))
    panels = figure.subplots(1, len(groups), squeeze=False, sharex=True)[0]
    for panel, (name, axes) in zip(panels, groups.items(), strict=True):
        for model, colour in style.model_colours(models).items():
            if model in costs:
                values = _errors(rows, model, axes)
                x = [costs[model].batched] * len(values)
                label = model_label(model)
                panel.plot(x, values, "o", color=colour, alpha=0.7, markersize=6, label=label)
        _draw_solver(panel, rows, costs, axes)
        (unchanged,) = _errors(rows, "persistence", axes)
        panel.axhline(unchanged, color="0.35", linestyle=":", label="persistence (costs nothing)")
        panel.set_title(name)
        panel.set_xlabel(f"time of a forecast in batches of {BATCH}\n(ms a frame, one core)")
    panels[0].set_ylabel("one-step nRMSE (dimensionless)")
    for panel in panels:
        panel.margins(x=0.12, y=0.12)
        style.plain_log_scale(panel, "x", (1, 2, 5))
        style.plain_log_scale(panel, "y", (1, 2, 3, 5))
    style.legend(figure, panels, columns=4)
    return figure


def _errors(rows: style.Rows, name: str, axes: Sequence[str]) -> list[float]:
    """Return the mean over axes of every replicate."""
    kept = Digest(("replicate",), ("nrmse",), {"model": (name,), "axis": tuple(axes)})
    return [float(row["nrmse"]) for row in digest(rows, kept)]


def _draw_solver(
    panel: Axes, rows: style.Rows, costs: Mapping[str, Cost], axes: Sequence[str]
) -> None:
    """Draw the solver on the grids that were evaluated, and where the finest is in time."""
    grids = solvers(list(costs))
    points = {
        name: (costs[name].batched, error) for name in grids for error in _errors(rows, name, axes)
    }
    if points:
        x, y = zip(*points.values(), strict=True)
        panel.plot(x, y, "D-", color="0.35", markerfacecolor="none", label="solver, by its grid")
    for name, place in points.items():
        panel.annotate(f"{grid_of(name)}²", place, (6, 4), textcoords="offset points", color="0.25")
    for name in [name for name in grids if name not in points]:  # it made the truth
        panel.axvline(costs[name].batched, color="0.7", linestyle="--", zorder=0)
        panel.annotate(
            f"{grid_of(name)}²: the truth",
            (costs[name].batched, 0.5),
            (-4, 0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="center",
            color="0.25",
        )
