"""Gate: every model is alive, and has the baseline's parameters and MACs within parity.tolerance.

Writes metrics/parity.json whatever the verdict on sizes, and metrics/gates/parity.yaml, on which
training depends, only when the gate is passed. `--solve-widths` prints settings that would.
"""

import sys
from pathlib import Path
from typing import Any

import torch

from chimera.files.artifacts import read_params, read_yaml, write_json, write_yaml
from chimera.interface.errors import guarded
from chimera.models.forecasting.building import fit_to_data
from chimera.models.parity.admission import admit
from chimera.models.parity.counting import count, count_torchinfo
from chimera.models.parity.gate import dead_parts, gaps, require_distinct, require_live
from chimera.models.parity.liveness import liveness
from chimera.models.parity.remedies import require_parity_or_remedy, solution_lines
from chimera.stages import read_flag


def gate(settings: dict[str, Any], num_fields: int, baseline: str, tolerance: float) -> None:
    """Count every model, write the metrics, and refuse dead, unequal or identical ones."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        models = {n: admit(fields, num_fields, f"models.{n}") for n, fields in settings.items()}
    shapes = {name: tuple(fields["input_shape"]) for name, fields in settings.items()}
    sizes = {name: count(model, shapes[name]) for name, model in models.items()}
    report: dict[str, Any] = {"tolerance": tolerance}
    alive = {name: liveness(model, shapes[name]) for name, model in models.items()}
    for name, (params, macs) in sizes.items():
        report[name] = {"params": params, "live_params": alive[name].params, "macs": macs}
        report[name] |= {"macs_torchinfo": count_torchinfo(models[name], shapes[name])}
    for name, (params_gap, macs_gap) in gaps(sizes, baseline).items():
        report[name] |= {"params_gap": params_gap, "macs_gap": macs_gap}
    write_json(Path("metrics/parity.json"), report)
    for name, found in alive.items():
        require_live(name, found)
        if dead := dead_parts(found):
            print(f"model {name!r} has parts without effect: {dead}", file=sys.stderr)  # noqa: T201
    require_parity_or_remedy(settings, sizes, baseline, tolerance)
    require_distinct(models, shapes[baseline])
    write_yaml(Path("metrics/gates/parity.yaml"), {"passed": True})


def main() -> None:
    """Run the gate, or the search for settings that pass it."""
    solves, params = read_flag("solve_widths", "print settings at parity; no gate"), read_params()
    models, baseline = params["models"], params["baseline"]
    tolerance = params["parity"]["tolerance"]
    data, path = params["data"], Path("metrics/gates/generate") / params["datasets"][0]
    layout = {"grid": data["shape"][1:], "boundary": ["periodic", "periodic"]}
    if (path / "layout.yaml").exists() or None in data["shape"]:
        layout = read_yaml(path / "layout.yaml")
    shape, boundary = (len(data["fields"]), *layout["grid"]), layout["boundary"]
    own = {"conditioning": len(data["conditioning"]), "past_frames": data["past_frames"]}
    fitted = {
        name: fit_to_data(s, shape, boundary, f"models.{name}", **own)
        | ({"search": s["search"]} if "search" in s else {})
        for name, s in models.items()
        if name in {baseline, *params["model_names"]}
    }
    if solves:
        for line in solution_lines(fitted, baseline, tolerance):
            print(line)  # noqa: T201
    else:
        gate(fitted, len(data["fields"]), baseline, tolerance)


if __name__ == "__main__":
    guarded(main)
