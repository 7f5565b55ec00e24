"""Rollouts to watch: truth, forecasts and their errors side by side, frame by frame.

For each axis they are the best, the median and the worst trajectory by the error over the rollout,
mean over models and replicates, of those whose rollouts were kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chimera.figures.animation import animate
from chimera.figures.fields import ranks
from chimera.figures.settings import FigureSettings
from chimera.files.arrays import read_safetensors
from chimera.study.axes import axis_name
from chimera.study.labels import axis_label, model_label

# Bytes of all animations of a report, of 1 MB that stills share and base64 makes 4 bytes of 3.
_LARGEST = 560_000


class Rollouts(NamedTuple):
    """One field of the rollouts that were kept of one axis.

    Attributes:
        numbers: Of the k trajectories in their axis, from 0.
        target: Truth, (k, T, H, W).
        forecasts: The same of each model and of what else forecast.
    """

    numbers: Sequence[int]
    target: NDArray[np.float32]
    forecasts: Mapping[str, NDArray[np.float32]]


def read_rollouts(
    models: Iterable[str], replicate: int, datasets: Sequence[str], channel: int
) -> dict[str, Rollouts]:
    """Return what the stage `evaluate` kept of a channel, by axis, in the unit of the data."""
    folders = {model: Path(f"metrics/runs/{model}/{replicate}") for model in models}
    known = read_safetensors(next(iter(folders.values())) / "references.safetensors")
    made = {m: read_safetensors(of / "rollouts.safetensors") for m, of in folders.items()}

    def physical(kept: NDArray[np.floating]) -> NDArray[np.float32]:
        values: NDArray[np.float32] = kept[:, :, channel].astype(np.float32)
        return values * known["std"][channel] + known["mean"][channel]

    found = {}
    for dataset in datasets:
        forecasts = {model: arrays[dataset] for model, arrays in made.items()}
        start = f"{dataset}.solver"
        forecasts |= {n.rpartition(".")[2]: a for n, a in known.items() if n.startswith(start)}
        found[axis_name(dataset, datasets)] = Rollouts(
            known[f"{dataset}.numbers"].tolist(),
            physical(known[f"{dataset}.target"]),
            {name: physical(kept) for name, kept in forecasts.items()},
        )
    return found


def watch_rollouts(
    folder: Path,
    params: Mapping[str, Any],
    errors: Mapping[str, Sequence[Sequence[float]]],
    interval: float,
    asked: FigureSettings,
) -> None:
    """Write <axis>.webp and, for who wants nothing that moves, <axis>-still.webp into a folder.

    `errors` has for each axis those of its trajectories in every run, `params` is params.yaml.
    """
    replicate = params["replicates"][0] if asked.replicate is None else asked.replicate
    fields, models = params["data"]["fields"], asked.models or params["model_names"]
    field = asked.field or fields[0]
    rollouts = read_rollouts(models, replicate, params["datasets"], fields.index(field))
    for axis, (numbers, target, forecasts) in rollouts.items():
        means = [
            (fmean(run[number] for run in errors[axis]), place, number)
            for place, number in enumerate(numbers)
        ]
        rows = {}
        for rank, (error, place, number) in ranks(means).items():
            truth = target[place]
            shown = {fill(model_label(n), 12): f[place] for n, f in forecasts.items()}
            wrong = {f"{name}\nerror": forecast - truth for name, forecast in shown.items()}
            rows[f"{rank}, no. {number}\nnRMSE {error:.2f}"] = {"truth": truth} | shown | wrong
        about = f"{axis_label(axis)}, replicate {replicate}: time"
        animate(
            folder / f"{axis}.webp",
            rows,
            [f"{about} {(t + 1) * interval:g}" for t in range(target.shape[1])],
            field.replace("_", " "),
            side=0.7,
            columns=None if len(forecasts) <= 3 else 1 + len(forecasts),
            largest=_LARGEST // len(rollouts),
            still=folder / f"{axis}-still.webp",
        )
