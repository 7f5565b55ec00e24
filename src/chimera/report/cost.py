"""What a forecast costs, and what a classical solver does better, from metrics and plots/cost.csv.

Costs are in milliseconds, errors are one-step nRMSE. The solver on the grid on which the data were
simulated made the truth: its error counts as 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from chimera.planning import break_even
from chimera.study.labels import axis_label, model_label


class Effort(NamedTuple):
    """What a network takes before its first forecast."""

    frames: int  # generated for training and validation
    trained: int  # samples of one training
    tuned: int | None  # samples of the whole tuning, None where none is counted

    def parts(self, network: break_even.Cost, data: break_even.Cost) -> tuple[float, float, float]:
        """Return the milliseconds of data, tuning and training."""
        tuning = (self.tuned or 0) * network.sample
        return self.frames * data.alone, tuning, self.trained * network.sample


def effort(params: Mapping[str, Any], model: str, tuning: Mapping[str, Any]) -> Effort:
    """Return a model's effort by the parameters and tuning/metrics.json."""
    data, settings = params["data"], params["train"] | params["models"][model].get("train", {})
    frames = 0  # files that somebody else has made
    if data["source"] == "generated":
        splits = data["datasets"][params["datasets"][0]]["trajectories"]
        used = settings.get("trajectories") or splits["train"]
        frames = data["num_frames"] * (used + splits["valid"])
    tuned = tuning.get(model, {}).get("samples")
    return Effort(frames, settings["steps"] * settings["batch_size"], tuned)


def account(
    params: Mapping[str, Any],
    summary: Mapping[str, Any],
    devices: Mapping[str, Mapping[str, break_even.Cost]],
    tuning: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the report's sentences and tables of cost.

    The summary and what `tuning` has are those of metrics/summary.json and tuning/metrics.json;
    the costs are by device and name, those of a processor first.
    """
    models, costs = params["model_names"], next(iter(devices.values()), {})
    efforts = {model: effort(params, model, tuning) for model in models}
    numbers = forecasts_to_break_even(summary, costs, efforts)
    found = [number for row in numbers.values() for number in row.values()]
    return {
        "classical": best_solver(summary, costs, models),
        "batch": break_even.BATCH,
        "never": bool(found) and all(number and number[1] is None for number in found),
        "unmeasured": unmeasured([*models, *break_even.solvers(list(summary))], costs),
        "break_even": numbers,
        "untuned": [model for model in models if model in costs and efforts[model].tuned is None],
        "times": {device: times(measured, efforts) for device, measured in devices.items()},
    }


def forecasts_to_break_even(
    summary: Mapping[str, Any], costs: Mapping[str, break_even.Cost], efforts: Mapping[str, Effort]
) -> dict[str, dict[str, tuple[int, int | None] | None]]:
    """Return the grid of the cheapest solver that errs no more, and the break-even number.

    By axis and model; nothing where no cost or solver is known, as on axes of user data. There is
    no pair where every solver errs more, and no number where the network never costs less.
    """
    grids = break_even.solvers(list(costs))
    if not grids or break_even.DATA not in costs:
        return {}
    times = {name: costs[name].batched for name in grids}
    upfront = {
        model: sum(effort.parts(costs[model], costs[break_even.DATA]))
        for model, effort in efforts.items()
        if model in costs
    }
    found: dict[str, dict[str, tuple[int, int | None] | None]] = {}
    known = [summary[name] for name in ("linear", *grids) if name in summary]
    for axis in _axes(summary, *known) if upfront else ():
        errors = {n: summary[n][axis]["nrmse"] if n in summary else 0.0 for n in grids}
        row = found[axis] = {}
        for model, spent in upfront.items():
            row[model] = None
            if grid := break_even.equal_error(errors, times, summary[model][axis]["nrmse"]):
                number = break_even.break_even(spent, costs[model].batched, times[grid])
                row[model] = break_even.grid_of(grid), number
    return found


def best_solver(
    summary: Mapping[str, Any], costs: Mapping[str, break_even.Cost], models: Sequence[str]
) -> dict[str, Any] | None:
    """Return how the finest coarse solver errs beside the best network, and what each costs.

    Shares of errors are by axis, `rollouts` and `times` those of the solver and of the network;
    None where no solver was evaluated.
    """
    grids = break_even.solvers(list(summary))
    if not grids:
        return None
    best = summary[grids[-1]]
    known, axes = _axes(summary), _axes(summary, best)
    shares = [best[a]["nrmse"] / min(summary[m][a]["nrmse"] for m in models) for a in axes]
    won = [axis for axis, share in zip(axes, shares, strict=True) if share < 1]
    found: dict[str, Any] = {
        "times": None,
        "points": break_even.grid_of(grids[-1]),
        "where": "every axis" if won == known else ", ".join(map(axis_label, won)) or "no axis",
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


def unmeasured(names: Sequence[str], costs: Mapping[str, break_even.Cost]) -> str:
    """Return a sentence about what has no measured cost, empty where everything has.

    >>> unmeasured(["unet"], {})
    'plots/cost.csv has no times, at this size, of UNet; `make cost` measures them.'
    """
    listed = ", ".join(model_label(name) for name in names if name not in costs)
    said = f"plots/cost.csv has no times, at this size, of {listed}; "
    return f"{said}`{break_even.REMEASURE}` measures them." if listed else ""


def times(
    costs: Mapping[str, break_even.Cost], efforts: Mapping[str, Effort]
) -> dict[str, tuple[break_even.Cost, list[float]]]:
    """Return the times of one device, and the seconds a network takes before its first forecast."""
    return {
        name: (
            cost,
            [part / 1e3 for part in efforts[name].parts(cost, costs[break_even.DATA])]
            if name in efforts and break_even.DATA in costs
            else [],
        )
        for name, cost in costs.items()
        if name != break_even.DATA
    }


def _axes(summary: Mapping[str, Any], *known: Mapping[str, Any]) -> list[str]:
    """Return the axes of a study on which all of `known` were evaluated."""
    rows = [row for row in next(iter(summary.values())).items() if isinstance(row[1], Mapping)]
    return [a for a, _ in rows if a != "ood" and all(a in found for found in known)]
