"""What a forecast error looks like: truth, forecast and error of three trajectories.

The trajectories are the best, the median and the worst of all OOD trajectories by their error over
the rollout, mean over models and replicates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from chimera.figures.labels import axis_label, model_label
from chimera.figures.style import WIDTH, message

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Example:
    """One trajectory at one frame of its rollout.

    Attributes:
        rank: Such as `median`.
        axis: Of the dataset that it belongs to.
        number: Within that dataset, from 0.
        error: The number by which it was ranked.
        target: The true field (H, W).
        predictions: For each model its forecast (H, W).
    """

    rank: str
    axis: str
    number: int
    error: float
    target: Floats
    predictions: Mapping[str, Floats]


def rank_trajectories(errors: Mapping[str, Sequence[float]]) -> dict[str, tuple[str, int, float]]:
    """Return the best, the median and the worst trajectory as (axis, number, error).

    Of an even number of trajectories the median is the lower of the two in the middle, so that it
    is one that exists.

    Args:
        errors: For each axis one error for each trajectory.

    Example:
        >>> rank_trajectories({"a": [0.3, 0.1], "b": [0.9, 0.4]})["median"]
        ('a', 0, 0.3)
    """
    ranked = sorted(
        ((axis, number, value) for axis, row in errors.items() for number, value in enumerate(row)),
        key=lambda trajectory: trajectory[2],
    )
    if not ranked:
        return {}
    return {"best": ranked[0], "median": ranked[(len(ranked) - 1) // 2], "worst": ranked[-1]}


def mean_errors(errors: Sequence[Sequence[float]], kept: int) -> list[float]:
    """Return the mean over runs of each of the first `kept` trajectories' errors.

    >>> mean_errors([[0.1, 0.2, 0.3], [0.3, 0.4, 0.5]], 2)
    [0.2, 0.30000000000000004]
    """
    return [sum(values) / len(values) for values in zip(*errors, strict=True)][:kept]


def examples(
    errors: Mapping[str, Sequence[float]], fields: Mapping[str, Mapping[str, Floats]]
) -> list[Example]:
    """Return the best, the median and the worst trajectory.

    Args:
        errors: For each OOD axis one error for each trajectory of which there are fields.
        fields: For each model `<axis>.prediction` and `<axis>.target`, (n, C, H, W); the first
            channel is shown.
    """
    first = next(iter(fields.values()))
    return [
        Example(
            rank,
            axis,
            number,
            error,
            first[f"{axis}.target"][number, 0],
            {model: found[f"{axis}.prediction"][number, 0] for model, found in fields.items()},
        )
        for rank, (axis, number, error) in rank_trajectories(errors).items()
    ]


def example_fields(
    examples: Sequence[Example], time: float, replicate: int, quantity: str
) -> Figure:
    """Draw truth, forecasts and errors; one colour scale, symmetric about zero, in each row.

    Args:
        examples: Rows, each with the same models.
        time: Of the frame, since the last true one, in the solver's unit of time.
        replicate: Whose forecasts are drawn.
        quantity: Name of the field.
    """
    if not examples:
        return message("No OOD trajectory: the study has no dataset besides IND")
    models = list(examples[0].predictions)
    unit = "1 / unit of time" if quantity == "vorticity" else "unit of the data"
    figure = Figure(figsize=(WIDTH, 0.6 + 1.45 * len(examples)))
    grid = figure.subplots(len(examples), 1 + 2 * len(models), squeeze=False)
    for panels, example in zip(grid, examples, strict=True):
        images: dict[str, Floats] = {"truth": example.target}
        for model, prediction in example.predictions.items():
            images[model_label(model)] = prediction
            images[f"{model_label(model)}\nerror"] = prediction - example.target
        limit = max(float(np.abs(image).max()) for image in images.values())
        for panel, (name, image) in zip(panels, images.items(), strict=True):
            # x is the first axis of an array, and runs to the right.
            drawn = panel.imshow(
                image.T,
                origin="lower",
                cmap="RdBu_r",
                vmin=-limit,
                vmax=limit,
                interpolation="nearest",
                rasterized=True,
            )
            panel.set_xticks([])
            panel.set_yticks([])
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
    figure.suptitle(
        f"time {time:g} after the last true frame (solver's unit of time), replicate {replicate}",
        fontsize=8.5,
        color="0.25",
    )
    return figure
