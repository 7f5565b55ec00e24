"""The study's figures, drawn from the rows of plots/*.csv.

Every replicate is a point or a line of its own; colours are those of Okabe & Ito (2008), told apart
with any colour vision; baselines are grey. Equal rows give equal bytes.
"""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
BASELINE_MARKERS = {"persistence": "_", "linear": "x"}
Rows = Sequence[Mapping[str, str]]

mpl.rcParams.update(
    {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "svg.hashsalt": "chimera",
        "figure.constrained_layout.use": True,
    }
)


def _colours(models: Sequence[str]) -> dict[str, str]:
    return {model: COLOURS[i % len(COLOURS)] for i, model in enumerate(models)}


def _axis_label(axis: str) -> str:
    return "IND" if axis == "ind" else "OOD\n" + axis.removeprefix("ood_").replace("_", " ")


def errors_by_axis(rows: Rows, models: Sequence[str]) -> Figure:
    """Draw one-step nRMSE by axis: a point for each replicate, a bar at the mean, the baselines.

    Args:
        rows: plots/errors.csv: model, replicate, axis, nrmse.
        models: The trained models, in order; every other name in `rows` is a baseline.
    """
    figure = Figure(figsize=(7.2, 3.6))
    panel = figure.add_subplot()
    axes = list(dict.fromkeys(row["axis"] for row in rows))
    width = 0.7 / max(len(models), 1)
    for i, (model, colour) in enumerate(_colours(models).items()):
        for position, axis in enumerate(axes):
            values = [
                float(row["nrmse"]) for row in rows if row["model"] == model and row["axis"] == axis
            ]
            x = position + (i - (len(models) - 1) / 2) * width
            mean = sum(values) / len(values)
            panel.bar(x, mean, 0.9 * width, color=colour, alpha=0.3, label=_once(model, position))
            panel.plot([x] * len(values), values, "o", color=colour, markersize=4)
    for baseline, marker in BASELINE_MARKERS.items():
        values = [float(row["nrmse"]) for row in rows if row["model"] == baseline]
        if not values:
            continue  # such as `linear` where nobody knows the physics
        panel.plot(
            range(len(values)),
            values,
            marker,
            color="0.35",
            markersize=24 if marker == "_" else 6,
            markeredgewidth=1.5,
            linestyle="none",
            label=baseline,
        )
    panel.set_xticks(range(len(axes)), [_axis_label(axis) for axis in axes])
    panel.set_ylabel("one-step nRMSE (dimensionless)")
    panel.set_ylim(bottom=0)
    panel.legend(
        ncols=len(models) + 2, loc="lower center", bbox_to_anchor=(0.5, 1.0), markerscale=0.5
    )
    return figure


def _once(label: str, position: int) -> str | None:
    return label if position == 0 else None


def training_curves(rows: Rows, models: Sequence[str]) -> Figure:
    """Draw training loss and validation error over the steps, a line for each replicate.

    Args:
        rows: plots/training.csv: model, replicate, step, train_loss, valid_nrmse.
        models: The trained models, in order.
    """
    figure = Figure(figsize=(7.2, 3.0))
    columns = {
        "train_loss": "mean squared error of normalised frames",
        "valid_nrmse": "one-step nRMSE, valid split (dimensionless)",
    }
    for panel, (column, label) in zip(figure.subplots(1, 2), columns.items(), strict=True):
        for model, colour in _colours(models).items():
            _lines(panel, rows, model, colour, "step", column)
        panel.set_yscale("log")
        panel.set_xlabel("optimiser step")
        panel.set_ylabel(label)
    panel.legend()
    return figure


def rollout_curves(rows: Rows, models: Sequence[str], frame_interval: float) -> Figure:
    """Draw error and correlation over a rollout: a column for each axis, a line for each run.

    Args:
        rows: plots/rollout.csv: model, replicate, axis, frame, nrmse, correlation.
        models: The trained models, in order.
        frame_interval: Time between two frames, in the solver's unit of time.
    """
    axes = list(dict.fromkeys(row["axis"] for row in rows))
    figure = Figure(figsize=(1.4 + 1.5 * len(axes), 3.6))
    panels = figure.subplots(2, len(axes), sharex=True, sharey="row", squeeze=False)
    timed = [row | {"time": str(float(row["frame"]) * frame_interval)} for row in map(dict, rows)]
    styles = _colours(models) | {"persistence": "0.55"}
    for column, axis in enumerate(axes):
        here = [row for row in timed if row["axis"] == axis]
        for name, panel in zip(("nrmse", "correlation"), panels[:, column], strict=True):
            for model, colour in styles.items():
                _lines(panel, here, model, colour, "time", name)
        panels[0, column].set_title(_axis_label(axis).replace("\n", " "), fontsize=9)
        panels[0, column].set_yscale("log")
        panels[1, column].set_xlabel("time (solver units)")
    panels[0, 0].set_ylabel("nRMSE (dimensionless)")
    panels[1, 0].set_ylabel("correlation")
    panels[1, 0].legend(fontsize=7)
    return figure


def _lines(panel: Axes, rows: Rows, model: str, colour: str, x: str, y: str) -> None:
    runs: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row["model"] == model:
            runs.setdefault(row["replicate"], []).append((float(row[x]), float(row[y])))
    for number, points in enumerate(runs.values()):
        panel.plot(
            *zip(*points, strict=True), color=colour, linewidth=1, label=_once(model, number)
        )
