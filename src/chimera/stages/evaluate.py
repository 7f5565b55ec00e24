"""Evaluate one trained network and the baselines on the IND test split and every OOD axis.

Writes metrics/runs/<model>/<replicate>/evaluate.json (see chimera.study.error_table) and, for the
figures, fields.safetensors (forecasts and truth at evaluate.field_frame, rollouts of a few) and
references.safetensors (these trajectories' numbers and truth, and the coarsest solver's rollouts:
equal bytes in every cell, so that the cache has them once).
"""

from pathlib import Path
from typing import Any

import torch

from chimera.data.layout.splits import Split
from chimera.evaluation.errors import (
    evaluations,
    join_evaluations,
    keep,
    kept_numbers,
    limit_horizon,
)
from chimera.evaluation.forecasters import SOLVER_GRIDS, physics_of
from chimera.evaluation.settings import EvaluateSettings
from chimera.files.artifacts import read_params, read_yaml, write_json
from chimera.files.tensors import write_tensors
from chimera.interface.errors import guarded
from chimera.interface.progress import track
from chimera.interface.settings import read_settings
from chimera.interface.versions import report_differing_versions
from chimera.models.forecasting.checkpoint import read_network
from chimera.models.forecasting.devices import prepare_device
from chimera.stages import read_keys

# Bytes of the trajectories that are evaluated at once.
GROUP = 1 << 27


def main() -> None:
    """Run the stage."""
    options = read_keys(model=str, replicate=int)
    params = read_params()
    settings = read_settings(params["evaluate"], "evaluate", EvaluateSettings)
    device = prepare_device(settings.device, settings.threads)
    cell = f"{options.model}/{options.replicate}"
    trained = read_network(Path("checkpoints") / cell / "model.safetensors", device)

    C, P, label = len(trained.fields), trained.past_frames, f"evaluate-{cell}"
    report: dict[str, dict[str, Any]] = {}
    fields = dict[str, torch.Tensor]()
    references = {"mean": trained.mean[:C], "std": trained.std[:C]}
    report_differing_versions(label)
    axes = read_yaml(Path("metrics/gates/verify/evaluation.yaml"))["axes"].values()
    for axis in track(label, list(axes)):
        dataset, layout = axis["dataset"], axis["layout"]
        folder = Path("data") / dataset / "data" / "test"
        split = Split(folder, trained.fields, trained.conditioning)
        here = limit_horizon(settings, split.shape[1], P)
        parts: dict[str, list[dict[str, list[float]]]] = {}
        first, frame = 0, here.field_frame - 1
        for group in split.groups(GROUP // P):
            frames = torch.from_numpy(group).to(device)  # (n, T, C + K, H, W)
            target, physics = frames[:, P : P + here.horizon, :C], None
            if layout["source"] == "generated" and trained.fields == ("vorticity",):
                members = slice(first, first + len(group))
                scalars = {name: values[members] for name, values in split.scalars.items()}
                physics = physics_of(scalars, layout["extent"][0], layout["frame_interval"])
            for name, errors, forecasts in evaluations(trained, frames, here, physics):
                parts.setdefault(name, []).append(errors)
                if name == "model" and first == 0:  # the first group is enough for the figures
                    fields[f"{dataset}.prediction"] = forecasts[:, frame].nan_to_num()
                    fields[f"{dataset}.target"] = target[:, frame]
                    fields[f"{dataset}.rollouts"] = keep(forecasts, trained)
                    references[f"{dataset}.numbers"] = kept_numbers(target)
                    references[f"{dataset}.target"] = keep(target, trained)
                elif name == f"solver_{SOLVER_GRIDS[-1]}" and first == 0:
                    references[f"{dataset}.{name}"] = keep(forecasts, trained)
                del forecasts  # before the next are made
            first += len(group)
        for name, found in parts.items():
            report.setdefault(name, {})[dataset] = join_evaluations(found)
    folder = Path("metrics/runs") / cell
    write_json(folder / "evaluate.json", report)
    write_tensors(folder / "fields.safetensors", fields, {"frame": settings.field_frame})
    write_tensors(folder / "references.safetensors", references, {})


if __name__ == "__main__":
    guarded(main)
