"""Rollouts to watch: truth, forecasts and their errors side by side, frame by frame.

For each axis they are the best, the median and the worst trajectory by the error over the rollout,
mean over models and replicates, of those whose rollouts were kept.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from textwrap import fill
from typing import Any

import numpy as np

from chimera.figures.animation import animate
from chimera.figures.fields import ranks
from chimera.figures.settings import FigureSettings
from chimera.files.arrays import read_safetensors
from chimera.study.axes import axis_name
from chimera.study.labels import axis_label, model_label

# Bytes of all animations of a report, of 1 MB that stills share and base64 makes 4 bytes of 3.
_LARGEST = 560_000


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
    field = asked.field or params["data"]["fields"][0]
    channel = params["data"]["fields"].index(field)
    models, datasets = asked.models or params["model_names"], params["datasets"]
    folders = {model_label(model): Path(f"metrics/runs/{model}/{replicate}") for model in models}
    known = read_safetensors(next(iter(folders.values())) / "references.safetensors")
    made = {name: read_safetensors(of / "fields.safetensors") for name, of in folders.items()}
    mean, std = known["mean"][channel], known["std"][channel]
    for dataset in datasets:
        axis, numbers = axis_name(dataset, datasets), known[f"{dataset}.numbers"].tolist()
        kept = {"truth": known[f"{dataset}.target"]}
        kept |= {name: of[f"{dataset}.rollouts"] for name, of in made.items()}
        for name in known:
            if name.startswith(f"{dataset}.solver_"):
                kept[model_label(name.rpartition(".")[2])] = known[name]
        means = [(fmean(run[n] for run in errors[axis]), k, n) for k, n in enumerate(numbers)]
        rows = {}
        for rank, (error, k, number) in ranks(means).items():
            maps = {
                fill(name, 12): rollouts[k, :, channel].astype(np.float32) * std + mean
                for name, rollouts in kept.items()
            }
            wrong = {f"{n}\nerror": m - maps["truth"] for n, m in maps.items() if n != "truth"}
            rows[f"{rank}, no. {number}\nrollout {error:.2f}"] = maps | wrong
        about = f"{axis_label(axis)}, replicate {replicate}: time"
        animate(
            folder / f"{axis}.webp",
            rows,
            [f"{about} {(t + 1) * interval:g}" for t in range(kept["truth"].shape[1])],
            field.replace("_", " "),
            side=0.7,
            largest=_LARGEST // len(datasets),
            still=folder / f"{axis}-still.webp",
        )
