"""The number of forecasts from which on a network has cost less than a solver of equal error.

    network   C + n c    C: its data, tuning and training, c: one forecast of one frame
    solver    n s        s: the same forecast on the cheapest grid that errs no more

so that the network has cost less from n = floor(C / (s - c)) + 1 on, and never where c >= s (Zhang,
Roberts, Marwah & Khodak 2026, "Breakeven complexity", arXiv:2605.15399; a grid is one that was
measured here). Costs are those of plots/cost.csv, in milliseconds.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from chimera.files.artifacts import read_csv
from chimera.interface.errors import InputError

COST_FILE = Path("plots/cost.csv")
BATCH = 16  # frames that ms_per_frame_batch forecasts at once
DATA = "data"  # the row whose "forecast" is a stored frame of generated data, warm-up included
REMEASURE = "make cost"
FRAMES = ("num_points", "simulated_points", "frame_interval")  # of section `data`: the flow's grids
TIMES = ("frame", "frame_batch", "training_sample")


class Cost(NamedTuple):
    """Milliseconds of one forecaster; those of a training sample are 0 where none is trained."""

    alone: float  # a frame, one trajectory at a time
    batched: float  # a frame, BATCH trajectories at a time
    sample: float


def break_even(upfront: float, network: float, solver: float) -> int | None:
    """Return the least n with upfront + n network < n solver, None where there is none.

    >>> break_even(10.0, 1.0, 3.0), break_even(9.0, 1.0, 3.0), break_even(0.0, 3.0, 3.0)
    (6, 5, None)
    """
    return math.floor(upfront / (solver - network)) + 1 if network < solver else None


def equal_error(
    errors: Mapping[str, float], costs: Mapping[str, float], error: float
) -> str | None:
    """Return the cheapest solver whose error is no larger, None where every one errs more."""
    matching = [name for name in errors if errors[name] <= error]
    return min(matching, key=lambda name: costs[name], default=None)


def read_costs(parity: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, dict[str, Cost]]:
    """Return what plots/cost.csv says of a study, by device and name; nothing without the file.

    A row of a network counts if that network takes as many MACs (metrics/parity.json) as the one
    measured, any other if grids and interval of generated frames (`data`) are the measured ones.
    A file without such a table is an InputError.
    """
    rows = read_csv(COST_FILE) if COST_FILE.exists() else []
    found: dict[str, dict[str, Cost]] = {}
    for row in rows:
        try:
            name = row["name"]
            cost = Cost(*(float(row[f"ms_per_{of}"] or 0) for of in TIMES))
            fits = (
                parity.get(name, {}).get("macs") == int(row["macs"])
                if row["macs"]
                else all(data.get(key) == float(row[key]) for key in FRAMES)
            )
            if fits:
                found.setdefault(row["device"], {})[name] = cost
        except (KeyError, TypeError, ValueError):
            raise InputError(
                f"{COST_FILE} has the row {dict(row)}, expected what `{REMEASURE}` writes"
            ) from None
    return found


def solvers(names: Sequence[str]) -> list[str]:
    """Return the names of the solver on its grids, the coarsest first.

    >>> solvers(["unet", "solver_48", "solver_32"])
    ['solver_32', 'solver_48']
    """
    return sorted((name for name in names if name.startswith("solver_")), key=grid_of)


def grid_of(solver: str) -> int:
    """Return the points a side of `solver_<points>`."""
    return int(solver.removeprefix("solver_"))
