"""Loss and validation error while training, from metrics/tables/training.csv."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from chimera.figures.labels import model_label
from chimera.figures.style import (
    WIDTH,
    Rows,
    draw_runs,
    legend,
    message,
    model_colours,
    plain_log_scale,
    where,
)

COLUMNS = {
    "train_loss": "training loss: mean squared error\nof normalised frames (dimensionless)",
    "valid_nrmse": "one-step nRMSE, valid split\n(dimensionless)",
}


def training_curves(rows: Rows, models: Sequence[str]) -> Figure:
    """Draw training loss and validation error over the steps, a line for each replicate.

    Args:
        rows: metrics/tables/training.csv: model, replicate, step, train_loss, valid_nrmse.
        models: The trained models, in order.
    """
    if not rows:
        return message("No training history: train.steps is 0")
    figure = Figure(figsize=(WIDTH, 3.1))
    panels = figure.subplots(1, 2)
    for panel, (column, label) in zip(panels, COLUMNS.items(), strict=True):
        for model, colour in model_colours(models).items():
            runs, name = where(rows, model=model), model_label(model)
            style = {"color": colour, "marker": "o", "markersize": 3, "linewidth": 1, "label": name}
            draw_runs(panel, runs, "step", column, **style)
        plain_log_scale(panel, "y", (1, 1.4, 2, 3, 5, 7))
        panel.set_xlim(left=0)
        panel.set_xlabel("optimiser step (count)")
        panel.set_ylabel(label)
    legend(figure, panels)
    return figure
