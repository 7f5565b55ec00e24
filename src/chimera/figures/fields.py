"""Truth, forecast and error of three trajectories: a picture of the forecast error.

They are the best, the median and the worst of all OOD trajectories by their error over the rollout,
mean over models and replicates.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from chimera.figures import style
from chimera.files.arrays import read_safetensors
from chimera.study.axes import axis_name
from chimera.study.labels import axis_label, model_label

FieldArray = NDArray[np.floating]


class Example(NamedTuple):
    """The best, median or worst trajectory, with true field (H, W) and forecasts at one frame.

    The number is that within its axis, from 0; the error is over the rollout, mean over runs.
    """

    rank: str
    axis: str
    number: int
    error: float
    target: FieldArray
    predictions: Mapping[str, FieldArray]


def read_fields(
    models: Iterable[str], replicate: int, datasets: Sequence[str]
) -> dict[str, dict[str, FieldArray]]:
    """Return what `evaluate` kept of each model, `<axis>.prediction`, `.target` and `.rollouts`."""
    found = {}
    for model in models:
        arrays = read_safetensors(Path(f"metrics/runs/{model}/{replicate}/fields.safetensors"))
        parts = [(name.rpartition("."), field) for name, field in arrays.items()]
        found[model] = {
            f"{axis_name(d, datasets)}.{k}": a for (d, _, k), a in parts if d in datasets
        }
    return found


def ranks(trajectories: Iterable[tuple[Any, ...]]) -> dict[str, Any]:
    """Return the best, the (lower) median and the worst by the first item, the error, if any."""
    ranked = sorted(trajectories, key=lambda trajectory: trajectory[0])
    places = {"best": 0, "median": (len(ranked) - 1) // 2, "worst": -1} if ranked else {}
    return {rank: ranked[place] for rank, place in places.items()}


def examples(
    errors: Mapping[str, Iterable[Sequence[float]]], fields: Mapping[str, Mapping[str, FieldArray]]
) -> list[Example]:
    """Return the best, the (lower) median and the worst trajectory of those with fields, if any.

    `errors` has for each OOD axis those of its trajectories in every run, `fields` for each model
    `<axis>.prediction` and `<axis>.target`, (n, C, H, W), of which the first channel is shown.
    """
    targets = {axis: next(iter(fields.values()))[f"{axis}.target"][:, 0] for axis in errors}
    means = [
        (fmean(values), axis, number)
        for axis, rows in errors.items()
        for number, values in enumerate(zip(*rows, strict=True))
        if number < len(targets[axis])
    ]
    found = []
    for rank, (error, axis, number) in ranks(means).items():
        shown = {model: of[f"{axis}.prediction"][number, 0] for model, of in fields.items()}
        found.append(Example(rank, axis, number, error, targets[axis][number], shown))
    return found


def ranked_fields(
    params: Mapping[str, Any], errors: Mapping[str, Iterable[Sequence[float]]], interval: float
) -> Figure:
    """Draw the best, the median and the worst OOD trajectory of the first replicate."""
    replicate, time = params["replicates"][0], params["evaluate"]["field_frame"] * interval
    arrays = read_fields(params["model_names"], replicate, params["datasets"])
    found = examples({axis: e for axis, e in errors.items() if axis != "ind"}, arrays)
    return example_fields(found, time, replicate, params["data"]["fields"][0])


def example_fields(
    examples: Sequence[Example], time: float, replicate: int, quantity: str
) -> Figure:
    """Draw truth, forecasts and errors; one colour scale, symmetric about zero, in each row.

    The examples have the same models; the time, since the last true frame, is in the solver's unit.
    """
    if not examples:
        return style.message("No OOD trajectory: the study has no dataset besides IND")
    models = list(examples[0].predictions)
    one_line = len(models) <= 2  # more have their errors below the forecasts
    columns, lines = (1 + 2 * len(models), 1) if one_line else (1 + len(models), 2)
    lines *= len(examples)
    unit = "1 / unit of time" if quantity == "vorticity" else "unit of the data"
    figure = Figure(figsize=(style.WIDTH, 0.6 + 1.45 * lines))
    grid = figure.subplots(lines, columns, squeeze=False).reshape(len(examples), -1)
    for panels, example in zip(grid, examples, strict=True):
        names = {model: model_label(model).replace(" ", "\n") for model in models}
        made = {names[m]: field for m, field in example.predictions.items()}
        errors = {f"{name}\nerror": field - example.target for name, field in made.items()}
        images: dict[str, FieldArray] = {"truth": example.target} | made | errors
        if not one_line:
            panels[columns].set_axis_off()  # below the truth
            panels = np.delete(panels, columns)
        limit = max(float(np.abs(image).max()) for image in images.values())
        for panel, (name, image) in zip(panels, images.items(), strict=True):
            # x is the first axis of an array, and runs to the right.
            look = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, "interpolation": "nearest"}
            drawn = panel.imshow(image.T, origin="lower", rasterized=True, **look)
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
            if example is examples[0]:
                panel.set_title(name)
            if name.endswith("error"):
                relative = np.linalg.norm(image) / np.linalg.norm(example.target)
                panel.set_xlabel(f"nRMSE {relative:.2f}", fontsize=8)
        panels[0].set_ylabel(
            f"{example.rank}\n{axis_label(example.axis)}\nno. {example.number}", fontsize=8
        )
        bar = figure.colorbar(drawn, ax=list(panels), fraction=0.02, pad=0.01, aspect=14)
        bar.set_label(f"{quantity.replace('_', ' ')}\n({unit})", fontsize=8)
        bar.ax.tick_params(labelsize=7.5)
    when = f"time {time:g} after the last true frame (solver's unit of time)"
    figure.suptitle(f"{when}, replicate {replicate}", fontsize=8.5, color="0.25")
    return figure
