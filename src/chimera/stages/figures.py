"""Draw all figures: plots/png/ for git, plots/svg/ for print, animations in plots/webp/."""

import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import repeat
from pathlib import Path

from matplotlib.figure import Figure

from chimera import figures
from chimera.figures.settings import FigureSettings
from chimera.files.artifacts import read_params, whole_folder, write_bytes
from chimera.governance.preregistration import read_preregistration
from chimera.interface.errors import InputError, guarded
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
    by_depth = {name: table(name) for name in ("twonn", "ib", "patching")}
    every: dict[str, Callable[[], Figure]] = {
        "cost": partial(figures.error_against_cost, by_run, costs, models),
        "fig1_errors": partial(figures.errors_by_axis, by_run, models),
        "training": partial(figures.training_curves, table("training"), models, loss),
        "tuning": partial(figures.tuning_search, trials, models),
        "rollout": partial(figures.rollout_curves, table("rollout"), models, interval, valid),
        "fields": partial(figures.ranked_fields, params, rollouts, interval),
        "forest": partial(
            figures.forest_plot, comparisons, baseline, plan.primary, 1 - plan.alpha, plan.margin
        ),
        "parity": partial(figures.parity_bars, parity, models, baseline),
        "depth": partial(figures.quantities_by_depth, by_depth, models),
        "spectra": partial(figures.energy_spectra, table("spectra"), models, interval),
        "twonn": partial(figures.dimension_along_network, table("twonn"), models, "linear"),
        "ib": partial(figures.information_plane, table("ib"), models),
        "patching": partial(figures.patching_effects, table("patching"), models),
        "rome": partial(figures.edit_tradeoff, table("rome"), models),
    }
    png, svg, webp = (whole_folder(Path("plots") / kind) for kind in ("png", "svg", "webp"))
    processes = ProcessPoolExecutor(2, None, signal.signal, (signal.SIGINT, signal.SIG_IGN))
    with png as in_png, svg as in_svg, webp as in_webp, processes as pool:
        moving = pool.submit(figures.watch_rollouts, in_webp, params, rollouts, interval, asked)
        pictures = pool.map(figures.pictures, every.values(), repeat(asked.style))
        try:
            for name, files in zip(every, pictures, strict=True):
                for suffix, data in files.items():
                    write_bytes((in_png if suffix == "png" else in_svg) / f"{name}.{suffix}", data)
            moving.result()
        except BrokenProcessPool:
            raise InputError("a process that draws was killed, expected it to finish") from None


if __name__ == "__main__":
    guarded(main)
