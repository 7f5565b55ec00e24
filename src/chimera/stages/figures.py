"""Draw all figures: plots/png/ for git, plots/svg/ for print, animations in plots/webp/."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from chimera import figures
from chimera.figures.settings import FigureSettings
from chimera.files.artifacts import read_params, whole_folder, write_bytes
from chimera.governance.preregistration import read_preregistration
from chimera.interface.errors import guarded
from chimera.interface.settings import read_settings
from chimera.planning.break_even import read_costs
from chimera.study.axes import datasets_by_axis
from chimera.study.endpoints import by_model, differences
from chimera.study.error_table import METRICS, read_errors
from chimera.study.results import read_metrics, read_numbers, read_result
from chimera.study.tables import BY_RUN, digest


def table(name: str) -> figures.Rows:
    """Return a table of metrics/tables/, empty for a probe that is not in the study."""
    path = Path("metrics/tables") / f"{name}.csv"
    return read_numbers(path, figures.TABLES[name], blanks=True) if path.exists() else []


def fields(params: dict[str, Any], errors: Mapping[str, Any], interval: float) -> Figure:
    """Draw the best, the median and the worst OOD trajectory of the first replicate."""
    replicate, time = params["replicates"][0], params["evaluate"]["field_frame"] * interval
    arrays = figures.read_fields(params["model_names"], replicate, params["datasets"])
    examples = figures.examples({a: e for a, e in errors.items() if a != "ind"}, arrays)
    return figures.example_fields(examples, time, replicate, params["data"]["fields"][0])


def main() -> None:
    """Run the stage."""
    params, plan = read_params(), read_preregistration()
    asked = read_settings(params.get("figures", {}), "figures", FigureSettings)
    models, baseline = params["model_names"], params["baseline"]
    layout = Path("metrics/gates/generate") / params["datasets"][0] / "layout.yaml"
    # One if no file states it.
    interval = read_result(layout, {"frame_interval": float | None})["frame_interval"] or 1.0
    rows = read_numbers(Path("metrics/errors.csv"), ("replicate", *METRICS))
    errors = {run: found for run, found in read_errors(rows).items() if run[0] in models}
    comparisons = [
        figures.Comparison(
            model,
            found,
            {name: differences(name, errors, model, baseline, plan.weights) for name in found},
        )
        for model, found in by_model(read_metrics("stats")).items()
    ]
    parity, valid = read_metrics("parity"), params["evaluate"]["valid_correlation"]
    costs = next(iter(read_costs(parity, params["data"]).values()), {})  # of the processor
    axes = list(datasets_by_axis(params["datasets"]))
    rollouts = {a: [run[a]["rollout_nrmse"] for run in errors.values()] for a in axes}
    by_run, loss = digest(rows, BY_RUN), params["train"]["loss"]
    trials = read_numbers(Path("tuning/trials.csv"), ("lr", "valid_nrmse"))
    drawn = {
        "cost": figures.error_against_cost(by_run, costs, models),
        "fig1_errors": figures.errors_by_axis(by_run, models),
        "training": figures.training_curves(table("training"), models, loss),
        "tuning": figures.tuning_search(trials, models),
        "rollout": figures.rollout_curves(table("rollout"), models, interval, valid),
        "fields": fields(params, rollouts, interval),
        "forest": figures.forest_plot(
            comparisons, baseline, plan.primary, 1 - plan.alpha, plan.margin
        ),
        "parity": figures.parity_bars(parity, models, baseline),
        "depth": figures.quantities_by_depth(
            {name: table(name) for name in ("twonn", "ib", "patching")}, models
        ),
        "spectra": figures.energy_spectra(table("spectra"), models, interval),
        "twonn": figures.dimension_along_network(table("twonn"), models, "linear"),
        "ib": figures.information_plane(table("ib"), models),
        "patching": figures.patching_effects(table("patching"), models),
        "rome": figures.edit_tradeoff(table("rome"), models),
    }
    with whole_folder(Path("plots/png")) as png, whole_folder(Path("plots/svg")) as svg:
        for name, figure in drawn.items():
            for suffix, picture in figures.pictures(figure, asked.style).items():
                write_bytes((png if suffix == "png" else svg) / f"{name}.{suffix}", picture)
    with whole_folder(Path("plots/webp")) as webp:
        figures.watch_rollouts(webp, params, rollouts, interval, asked)


if __name__ == "__main__":
    guarded(main)
