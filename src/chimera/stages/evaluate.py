"""Evaluate one trained network on IND test and on every OOD axis, beside the baselines.

Writes metrics/runs/<model>/<replicate>/evaluate.json (see chimera.collation) and fields.safetensors
(rollouts and truth at evaluate.field_frame, for the figures).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from argparse_dataclass import ArgumentParser

from chimera.artifacts import read_params, write_json
from chimera.checkpoints import read_network, write_tensors
from chimera.data.well import read_trajectories
from chimera.devices import prepare_device
from chimera.evaluation import (
    EvaluateSettings,
    evaluate,
    linear_diffusion,
    network_forecaster,
    persistence,
)
from chimera.progress import track
from chimera.settings import read_settings
from chimera.solver import KolmogorovForcing
from chimera.stages import guarded


@dataclass
class Options:
    """Matrix coordinates."""

    model: str
    replicate: int


def main() -> None:
    """Run the stage."""
    options = ArgumentParser(Options).parse_args()
    params = read_params()
    settings = read_settings(params["evaluate"], "evaluate", EvaluateSettings)
    device = prepare_device(settings.device, settings.threads)
    cell = f"{options.model}/{options.replicate}"
    network, mean, std = read_network(Path("checkpoints") / cell / "model.safetensors", device)

    report: dict[str, dict[str, Any]] = {"model": {}, "persistence": {}, "linear": {}}
    fields: dict[str, torch.Tensor] = {}
    for dataset in track(f"evaluate-{cell}", params["datasets"]):
        vorticity, scalars = read_trajectories(Path("data") / dataset / "data" / "test")
        trajectories = torch.from_numpy(vorticity)[:, :, None].to(device)  # (n, T, C, H, W)
        wavenumber, angle = int(scalars["forcing_wavenumber"]), scalars["forcing_angle"]
        linear = linear_diffusion(
            trajectories.shape[-1],
            viscosity=scalars["viscosity"],
            drag=scalars["drag"],
            forcing=KolmogorovForcing(scalars["forcing"], wavenumber, angle),
            domain_extent=params["data"]["domain_extent"],
            interval=params["data"]["frame_interval"],
        )
        forecasters = {
            "model": network_forecaster(network, mean, std),
            "persistence": persistence,
            "linear": linear,
        }
        for name, forecaster in forecasters.items():
            report[name][dataset], field = evaluate(forecaster, trajectories, settings)
            if name == "model":
                fields[f"{dataset}.prediction"] = field
        fields[f"{dataset}.target"] = trajectories[:, settings.field_frame]
    folder = Path("metrics/runs") / cell
    write_json(folder / "evaluate.json", report)
    write_tensors(folder / "fields.safetensors", fields, {"frame": settings.field_frame})


if __name__ == "__main__":
    guarded(main)
