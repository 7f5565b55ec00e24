"""Evaluate one trained network and the baselines on the IND test split and every OOD axis.

Writes metrics/runs/<model>/<replicate>/evaluate.json (see chimera.study.error_table) and
fields.safetensors (forecasts and truth at evaluate.field_frame, for the figures).
"""

from pathlib import Path
from typing import Any

import torch

from chimera.data.layout.splits import Split
from chimera.evaluation.errors import evaluate, join_evaluations, limit_horizon
from chimera.evaluation.forecasters import classical, network_forecaster, persistence, physics_of
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
    fields: dict[str, torch.Tensor] = {}
    report_differing_versions(label)
    axes = read_yaml(Path("metrics/gates/verify/evaluation.yaml"))["axes"].values()
    for axis in track(label, list(axes)):
        dataset, layout = axis["dataset"], axis["layout"]
        folder = Path("data") / dataset / "data" / "test"
        split = Split(folder, trained.fields, trained.conditioning)
        here = limit_horizon(settings, split.shape[1], P)
        parts: dict[str, list[dict[str, list[float]]]] = {}
        first = 0
        for group in split.groups(GROUP // P):
            frames = torch.from_numpy(group).to(device)  # (n, T, C + K, H, W)
            trajectories, constant = frames[:, :, :C], frames[:, 0, C:]
            network = network_forecaster(trained, constant)
            forecasters = {"model": network, "persistence": persistence}
            if layout["source"] == "generated" and trained.fields == ("vorticity",):
                members = slice(first, first + len(group))
                scalars = {name: values[members] for name, values in split.scalars.items()}
                physics = physics_of(scalars, layout["extent"][0], layout["frame_interval"])
                forecasters |= classical(physics, split.shape[-1])
            for name, forecaster in forecasters.items():
                errors, field = evaluate(forecaster, trajectories, here, P)
                if name == "model" and first == 0:  # the first group is enough for the figures
                    fields[f"{dataset}.prediction"] = field
                    fields[f"{dataset}.target"] = trajectories[:, P - 1 + here.field_frame]
                parts.setdefault(name, []).append(errors)
            first += len(group)
        for name, found in parts.items():
            report.setdefault(name, {})[dataset] = join_evaluations(found)
    folder = Path("metrics/runs") / cell
    write_json(folder / "evaluate.json", report)
    write_tensors(folder / "fields.safetensors", fields, {"frame": settings.field_frame})


if __name__ == "__main__":
    guarded(main)
