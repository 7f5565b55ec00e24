"""The search for the learning rate, from tuning/trials.csv."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from chimera.figures import style
from chimera.study.labels import model_label
from chimera.tuning.table import best_of, ranked


def tuning_search(rows: style.Rows, models: Sequence[str]) -> Figure:
    """Draw every trial by its learning rate, and the error to be expected of the best of k trials.

    Rows have model, lr, valid_nrmse; trials that diverged are left out of the first panel.
    """
    searched = style.present(rows, models)
    if not searched:
        return style.message("tuning/trials.csv has no model of this study: run make tune")
    figure = Figure(figsize=(style.WIDTH, 2.8))
    rates, budget = panels = figure.subplots(1, 2)
    colours = style.model_colours(models)
    for model in searched:
        trials = sorted(style.where(rows, model=model), key=lambda row: float(row["lr"]))
        errors = [float(row["valid_nrmse"]) for row in trials]
        finite = [row for row in trials if float(row["valid_nrmse"]) < float("inf")]
        name, best, colour = model_label(model), ranked(trials)[0], colours[model]
        line = {"color": colour, "linewidth": 1, "markersize": 4}
        rates.plot(*style.points(finite, "lr", "valid_nrmse"), marker="o", label=name, **line)
        ring = {"marker": "o", "markersize": 10, "fillstyle": "none", "linestyle": "none"}
        rates.plot(float(best["lr"]), float(best["valid_nrmse"]), color=colour, **ring)
        budget.plot(range(1, 1 + len(errors)), best_of(errors), marker="o", label=name, **line)
    rates.set_xscale("log")
    rates.set_xlabel("learning rate (dimensionless)")
    budget.set_xlabel("trials made, k (count)")
    budget.xaxis.set_major_locator(MaxNLocator(integer=True))
    rates.set_ylabel("one-step nRMSE, validation split\n(dimensionless)")
    budget.set_ylabel("expected of the best of k\n(dimensionless)")
    for panel in panels:
        style.plain_log_scale(panel, "y", (1, 1.4, 2, 3, 5, 7))
    style.legend(figure, panels)
    return figure
