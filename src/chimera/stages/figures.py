"""Draw the figures of metrics/: a PNG each for git (plots/png/), an SVG for print (plots/svg/)."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from chimera import figures
from chimera.data.layout.axes import axis_name
from chimera.files.arrays import read_safetensors
from chimera.files.artifacts import (
    read_csv,
    read_json,
    read_params,
    read_yaml,
    whole_folder,
    write_bytes,
)
from chimera.governance.preregistration import read_preregistration
from chimera.interface.errors import guarded
from chimera.study.contrasts import by_model, differences
from chimera.study.error_table import read_errors
from chimera.study.tables import BY_RUN, digest

Runs = dict[tuple[str, int], Any]


def table(name: str) -> figures.Rows:
    """Return a table in full; a probe that is not in the study has no rows."""
    path = Path("metrics/tables") / f"{name}.csv"
    return read_csv(path) if path.exists() else []


def frame_interval(params: dict[str, Any]) -> float:
    """Return the time between two frames, 1 where no file says it."""
    layout = read_yaml(Path("metrics/gates/generate") / params["datasets"][0] / "layout.yaml")
    return layout["frame_interval"] or 1.0


def fields(params: dict[str, Any], runs: Runs) -> Figure:
    """Draw the best, the median and the worst OOD trajectory of the first replicate."""
    datasets, replicate = params["datasets"], params["replicates"][0]
    axes = {dataset: axis_name(dataset, datasets) for dataset in datasets[1:]}
    arrays = {}
    for model in params["model_names"]:
        read = read_safetensors(Path(f"metrics/runs/{model}/{replicate}/fields.safetensors"))
        arrays[model] = {
            f"{axis}.{kind}": read[f"{dataset}.{kind}"]
            for dataset, axis in axes.items()
            for kind in ("prediction", "target")
        }
    errors = {}
    for dataset, axis in axes.items():
        kept = min(len(found[f"{axis}.target"]) for found in arrays.values())
        by_run = [run["model"][dataset]["rollout_nrmse"][:kept] for run in runs.values()]
        errors[axis] = [sum(values) / len(values) for values in zip(*by_run, strict=True)]
    time = params["evaluate"]["field_frame"] * frame_interval(params)
    examples = figures.examples(errors, arrays)
    return figures.example_fields(examples, time, replicate, params["data"]["fields"][0])


def forest(baseline: str) -> Figure:
    """Draw the contrasts of every model with the baseline."""
    plan, runs = read_preregistration(), read_errors(read_csv(Path("metrics/errors.csv")))
    found = by_model(read_json(Path("metrics/stats.json")))
    comparisons = [
        figures.Comparison(
            model,
            rows,
            {name: differences(name, runs, model, baseline) for name in rows},
        )
        for model, rows in found.items()
    ]
    return figures.forest(comparisons, baseline, plan.primary, 1 - plan.alpha)


def main() -> None:
    """Run the stage."""
    params = read_params()
    models, interval = params["model_names"], frame_interval(params)
    valid = params["evaluate"]["valid_correlation"]
    runs: Runs = {
        (model, replicate): read_json(Path(f"metrics/runs/{model}/{replicate}/evaluate.json"))
        for model in models
        for replicate in params["replicates"]
    }
    parity = read_json(Path("metrics/parity.json"))
    drawn = {
        "fig1_errors": figures.errors_by_axis(
            digest(read_csv(Path("metrics/errors.csv")), BY_RUN), models
        ),
        "training": figures.training_curves(table("training"), models),
        "rollout": figures.rollout_curves(table("rollout"), models, interval, valid),
        "fields": fields(params, runs),
        "forest": forest(params["baseline"]),
        "parity": figures.parity_bars(parity, models, params["baseline"]),
        "spectra": figures.energy_spectra(table("spectra"), models, interval),
        "twonn": figures.dimension_along_network(table("twonn"), models, "linear"),
        "ib": figures.information_plane(table("ib"), models),
        "patching": figures.patching_effects(table("patching"), models),
        "rome": figures.edit_tradeoff(table("rome"), models),
    }
    for suffix in ("png", "svg"):
        with whole_folder(Path("plots") / suffix) as folder:
            for name, figure in drawn.items():
                write_bytes(folder / f"{name}.{suffix}", figures.picture(figure, suffix))


if __name__ == "__main__":
    guarded(main)
