"""Gate: every model has the baseline's parameters and MACs within parity.tolerance.

Writes metrics/parity.json whatever the verdict, and metrics/gates/parity.yaml, on which training
depends, if the gate is passed. `--solve-widths` prints channel lists that would pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from argparse_dataclass import ArgumentParser

from chimera.files.artifacts import read_params, read_yaml, write_json, write_yaml
from chimera.interface.errors import InputError, guarded
from chimera.models.forecasting.building import build_model, fit_to_data
from chimera.models.parity import gate


@dataclass
class Options:
    """Action in place of the gate."""

    solve_widths: bool = False


def run_gate(settings: dict[str, Any], baseline: str, tolerance: float) -> None:
    """Count every model, write the metrics, and refuse unequal or identical models."""
    with torch.random.fork_rng():
        models = {name: build_model(fields) for name, fields in settings.items()}
    shapes = {name: tuple(fields["input_shape"]) for name, fields in settings.items()}
    sizes = {name: gate.count(model, shapes[name]) for name, model in models.items()}
    report: dict[str, Any] = {"tolerance": tolerance}
    for name, (params, macs) in sizes.items():
        shown = gate.count_torchinfo(models[name], shapes[name])
        report[name] = {"params": params, "macs": macs, "macs_torchinfo": shown}
    for name, (params_gap, macs_gap) in gate.gaps(sizes, baseline).items():
        report[name] |= {"params_gap": params_gap, "macs_gap": macs_gap}
    write_json(Path("metrics/parity.json"), report)
    gate.require_parity(sizes, baseline, tolerance)
    gate.require_distinct(models, shapes[baseline])
    write_yaml(Path("metrics/gates/parity.yaml"), {"passed": True})


def fit_models(models: Mapping[str, Any], layout: Mapping[str, Any], channels: int) -> Any:
    """Return every model's settings for the grid and boundary of the data."""
    found = {}
    for name, fields in models.items():
        try:
            found[name] = fit_to_data(fields, (channels, *layout["grid"]), layout["boundary"])
        except InputError as error:
            raise InputError(f"models.{name}: {error}") from None
    return found


def main() -> None:
    """Run the gate, or the width search."""
    options = ArgumentParser(Options).parse_args()
    params = read_params()
    models, baseline = params["models"], params["baseline"]
    tolerance = params["parity"]["tolerance"]
    path = Path("metrics/gates/generate") / params["datasets"][0] / "layout.yaml"
    unknown = any(None in (fields.get("input_shape") or ()) for fields in models.values())
    if path.exists() or unknown:  # without data, the shape in params.yaml holds
        models = fit_models(models, read_yaml(path), len(params["data"]["fields"]))
    if not options.solve_widths:
        run_gate(models, baseline, tolerance)
        return
    for name in models.keys() - {baseline}:
        print(f"{name}: {gate.solve_widths(models[name], models[baseline], tolerance)}")  # noqa: T201


if __name__ == "__main__":
    guarded(main)
