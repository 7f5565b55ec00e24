"""What a forecast costs, and what a classical solver does better, from metrics and plots/cost.csv.

Costs are in milliseconds, errors are one-step nRMSE. The solver on the grid on which the data were
simulated made the truth: its error counts as 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from chimera.planning.break_even import (
    BATCH,
    DATA,
    REMEASURE,
    Cost,
    break_even,
    equal_error,
    grid_of,
    solvers,
)
from chimera.report.tables import Table
from chimera.study.labels import axis_label, model_label

NEVER = "never"


class Effort(NamedTuple):
    """What a network takes before its first forecast."""

    frames: int  # generated for training and validation
    trained: int  # samples of one training
    tuned: int | None  # samples of the whole tuning, None where none is counted

    def parts(self, network: Cost, data: Cost) -> tuple[float, float, float]:
        """Return the milliseconds of data, tuning and training."""
        tuning = (self.tuned or 0) * network.sample
        return self.frames * data.alone, tuning, self.trained * network.sample


def effort(params: Mapping[str, Any], model: str, tuning: Mapping[str, Any]) -> Effort:
    """Return a model's effort by the parameters and tuning/metrics.json."""
    data, settings = params["data"], params["train"] | params["models"][model].get("train", {})
    frames = 0  # files that somebody else has made
    if data["source"] == "generated":
        splits = data["datasets"][params["datasets"][0]]["trajectories"]
        frames = data["num_frames"] * (splits["train"] + splits["valid"])
    tuned = tuning.get(model, {}).get("samples")
    return Effort(frames, settings["steps"] * settings["batch_size"], tuned)


def account(
    params: Mapping[str, Any],
    summary: Mapping[str, Any],
    devices: Mapping[str, Mapping[str, Cost]],
    tuning: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the report's sentences and tables of cost.

    The summary and what `tuning` has are those of metrics/summary.json and tuning/metrics.json;
    the costs are by device and name, those of a processor first.
    """
    models, costs = params["model_names"], next(iter(devices.values()), {})
    efforts = {model: effort(params, model, tuning) for model in models}
    table = break_even_table(summary, costs, efforts)
    cells = [cell for row in table.rows for cell in row[1:]] if table else []
    return {
        "classical": best_solver(summary, costs, models),
        "batch": BATCH,
        "never": bool(cells) and all(cell.startswith(NEVER) for cell in cells),
        "unmeasured": unmeasured([*models, *solvers(list(summary))], costs),
        "break_even": table,
        "times": [times_table(device, found, efforts) for device, found in devices.items()],
    }


def break_even_table(
    summary: Mapping[str, Any], costs: Mapping[str, Cost], efforts: Mapping[str, Effort]
) -> Table | None:
    """Return the break-even number of forecasts by axis, None where no cost or solver is known."""
    grids = solvers(list(costs))
    models = [model for model in efforts if model in costs]
    if not (grids and models and DATA in costs):
        return None
    times = {name: costs[name].batched for name in grids}
    rows = []
    for axis in _axes(summary):
        errors = {n: summary[n][axis]["nrmse"] if n in summary else 0.0 for n in grids}
        cells = []
        for model in models:
            grid = equal_error(errors, times, summary[model][axis]["nrmse"])
            if grid is None:
                cells.append("no such solver")
                continue
            upfront = sum(efforts[model].parts(costs[model], costs[DATA]))
            number = break_even(upfront, costs[model].batched, times[grid])
            count = NEVER if number is None else f"{float(f'{number:.3g}'):,.0f}"
            cells.append(f"{count} ({grid_of(grid)}²)")
        rows.append((axis_label(axis), *cells))
    untuned = [model for model in models if efforts[model].tuned is None]
    caption = (
        "Break-even: the number of forecasts, each of one frame, from which on a network, with its "
        "data, tuning and one training, has cost less than the cheapest solver that errs no more, "
        f"whose grid is in brackets. One core, batches of {BATCH}."
    )
    if untuned:
        caption += f" No tuning counted: {_listed(untuned)}."
    return Table(caption, ("axis", *map(model_label, models)), tuple(rows))


def best_solver(
    summary: Mapping[str, Any], costs: Mapping[str, Cost], models: Sequence[str]
) -> dict[str, Any] | None:
    """Return how the finest coarse solver errs beside the best network, and what each costs.

    Shares of errors are by axis, `rollouts` and `times` those of the solver and of the network;
    None where no solver was evaluated.
    """
    grids = solvers(list(summary))
    if not grids:
        return None
    best, axes = summary[grids[-1]], _axes(summary)
    shares = [best[a]["nrmse"] / min(summary[m][a]["nrmse"] for m in models) for a in axes]
    won = [axis for axis, share in zip(axes, shares, strict=True) if share < 1]
    found: dict[str, Any] = {
        "times": None,
        "points": grid_of(grids[-1]),
        "where": "every axis" if won == axes else ", ".join(map(axis_label, won)) or "no axis",
        "shares": (min(shares), max(shares)),
        "rollouts": [
            best["ind"]["rollout_nrmse"],
            min(summary[model]["ind"]["rollout_nrmse"] for model in models),
        ],
    }
    measured = {model: costs[model].batched for model in models if model in costs}
    if measured and grids[-1] in costs:
        fastest = min(measured, key=lambda model: measured[model])
        found |= {"fastest": fastest, "times": [costs[grids[-1]].batched, measured[fastest]]}
    return found


def unmeasured(names: Sequence[str], costs: Mapping[str, Cost]) -> str:
    """Return a sentence about what has no measured cost, empty where everything has.

    >>> unmeasured(["unet"], {})
    'plots/cost.csv has no times, at this size, of UNet; `make cost` measures them.'
    """
    listed = _listed([name for name in names if name not in costs])
    said = f"plots/cost.csv has no times, at this size, of {listed}; `{REMEASURE}` measures them."
    return said if listed else ""


def times_table(device: str, costs: Mapping[str, Cost], efforts: Mapping[str, Effort]) -> Table:
    """Return the times of one device, and what each network takes before its first forecast."""
    rows = []
    for name, cost in costs.items():
        cells = [f"{cost.alone:.3g}", f"{cost.batched:.3g}"]
        if name in efforts and DATA in costs:
            parts = efforts[name].parts(cost, costs[DATA])
            cells += [f"{cost.sample:.3g}", *(f"{part / 1e3:.0f}" for part in parts)]
        if name != DATA:
            rows.append((model_label(name), *cells, *["-"] * (6 - len(cells))))
    times = ("ms a frame, alone", f"ms a frame, {BATCH} at once", "ms a training sample")
    header = ("forecaster", *times, "data (s)", "tuning (s)", "one training (s)")
    return Table(f"Times on {device}, of a CPU on one core.", header, tuple(rows))


def _axes(summary: Mapping[str, Any]) -> list[str]:
    first = next(iter(summary.values()))
    return [axis for axis, row in first.items() if isinstance(row, Mapping) and axis != "ood"]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(model_label, names))
