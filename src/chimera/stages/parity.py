"""Gate: every model has the baseline's parameters and MACs within parity.tolerance.

Writes metrics/parity.json whatever the verdict, and metrics/gates/parity.yaml, on which training
depends, only when the gate is passed. `--solve-widths` prints channel lists that would pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from argparse_dataclass import ArgumentParser

from chimera.files.artifacts import read_params, read_yaml, write_json, write_yaml
from chimera.interface.errors import InputError, guarded
from chimera.models.forecasting.building import build_model, fit_to_data
from chimera.models.parity.counting import count, count_torchinfo
from chimera.models.parity.gate import gaps, require_distinct, require_parity
from chimera.models.parity.width_search import solve_widths


@dataclass
class Options:
    """Print channel lists instead of running the gate."""

    solve_widths: bool = field(default=False)


def gate(settings: dict[str, Any], baseline: str, tolerance: float) -> None:
    """Count every model, write the metrics, and refuse a pair that is unequal or identical."""
    with torch.random.fork_rng():
        models = {name: build_model(fields) for name, fields in settings.items()}
    shapes = {name: tuple(fields["input_shape"]) for name, fields in settings.items()}
    sizes = {name: count(model, shapes[name]) for name, model in models.items()}
    report: dict[str, Any] = {"tolerance": tolerance}
    for name, (params, macs) in sizes.items():
        torchinfo_macs = count_torchinfo(models[name], shapes[name])
        report[name] = {"params": params, "macs": macs, "macs_torchinfo": torchinfo_macs}
    for name, (params_gap, macs_gap) in gaps(sizes, baseline).items():
        report[name] |= {"params_gap": params_gap, "macs_gap": macs_gap}
    write_json(Path("metrics/parity.json"), report)
    require_parity(sizes, baseline, tolerance)
    require_distinct(models, shapes[baseline])
    write_yaml(Path("metrics/gates/parity.yaml"), {"passed": True})


def on_the_data(
    models: Mapping[str, Any], layout: Mapping[str, Any], channels: int, conditioning: int
) -> dict[str, Any]:
    """Return every model's settings for the data's grid and edges."""
    found = {}
    for name, fields in models.items():
        try:
            found[name] = fit_to_data(
                fields,
                (channels, *layout["grid"]),
                layout["boundary"],
                conditioning=conditioning,
            )
        except InputError as error:
            raise InputError(f"models.{name}: {error}") from None
    return found


def main() -> None:
    """Run the gate, or the width solver."""
    options = ArgumentParser(Options).parse_args()
    params = read_params()
    models, baseline = params["models"], params["baseline"]
    tolerance = params["parity"]["tolerance"]
    path = Path("metrics/gates/generate") / params["datasets"][0] / "layout.yaml"
    unknown = any(None in (fields.get("input_shape") or ()) for fields in models.values())
    if path.exists() or unknown:  # before there are data, params.yaml may say their form
        fields, conditioning = (len(params["data"][key]) for key in ("fields", "conditioning"))
        models = on_the_data(models, read_yaml(path), fields, conditioning)
    if not options.solve_widths:
        gate(models, baseline, tolerance)
        return
    for name in models.keys() - {baseline}:
        print(f"{name}: {solve_widths(models[name], models[baseline], tolerance)}")  # noqa: T201


if __name__ == "__main__":
    guarded(main)
