"""Gate: every model has the baseline's parameters and MACs within parity.tolerance.

Writes metrics/parity.json whatever the verdict, and metrics/gates/parity.yaml, on which training
depends, only when the gate is passed. `--solve-widths` prints channel lists that would pass.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from argparse_dataclass import ArgumentParser

from chimera.files.artifacts import read_params, read_yaml, write_json, write_yaml
from chimera.interface.errors import guarded
from chimera.models.forecasting.building import build_model, fit_to_data
from chimera.models.parity.counting import count, count_torchinfo
from chimera.models.parity.gate import gaps, require_distinct, require_parity
from chimera.models.parity.width_search import solve_widths


@dataclass
class Options:
    """Print channel lists instead of running the gate."""

    solve_widths: bool = False


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


def main() -> None:
    """Run the gate, or the width solver."""
    options = ArgumentParser(Options).parse_args()
    params = read_params()
    models, baseline = params["models"], params["baseline"]
    tolerance = params["parity"]["tolerance"]
    path = Path("metrics/gates/generate") / params["datasets"][0] / "layout.yaml"
    unknown = any(None in (fields.get("input_shape") or ()) for fields in models.values())
    if path.exists() or unknown:  # before there are data, params.yaml may say their form
        layout = read_yaml(path)
        shape, boundary = (len(params["data"]["fields"]), *layout["grid"]), layout["boundary"]
        models = {n: fit_to_data(m, shape, boundary, f"models.{n}") for n, m in models.items()}
    if not options.solve_widths:
        gate(models, baseline, tolerance)
        return
    for name in models.keys() - {baseline}:
        print(f"{name}: {solve_widths(models[name], models[baseline], tolerance)}")  # noqa: T201


if __name__ == "__main__":
    guarded(main)
