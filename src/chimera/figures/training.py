"""Training loss and validation error, from metrics/tables/training.csv."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from chimera.figures import style
from chimera.study.labels import model_label

COLUMNS = {
    "train_loss": "training loss: {loss}\nof normalised frames (dimensionless)",
    "valid_nrmse": "one-step nRMSE, validation split\n(dimensionless)",
}
LOSSES = {"mse": "mean squared error", "mae": "mean |error|", "relative_l2": "relative error"}


def training_curves(rows: style.Rows, models: Sequence[str], loss: str = "mse") -> Figure:
    """Draw both over the steps, a line for each replicate; `loss` is train.loss.

    Rows have model, replicate, step, train_loss, valid_nrmse.
    """
    if not rows:
        return style.message("No training history: train.steps is 0")
    figure = Figure(figsize=(style.WIDTH, 3.1))
    panels = figure.subplots(1, 2)
    for panel, (column, label) in zip(panels, COLUMNS.items(), strict=True):
        for model, colour in style.model_colours(models).items():
            runs, name = style.where(rows, model=model), model_label(model)
            line = {"color": colour, "marker": "o", "markersize": 3, "linewidth": 1, "label": name}
            style.draw_runs(panel, runs, "step", column, **line)
        style.plain_log_scale(panel, "y", (1, 1.4, 2, 3, 5, 7))
        panel.set_xlim(left=0)
        panel.set_xlabel("optimiser step (count)")
        panel.set_ylabel(label.format(loss=LOSSES[loss]))
    style.legend(figure, panels)
    return figure
