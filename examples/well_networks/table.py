"""Print one row of The Well's table from metrics/errors.csv, with intervals over replicates.

`python examples/well_networks/table.py [NAME]` prints, for each model, the one-step VRMSE on the
test split: the mean over trajectories, frames and fields, averaged over replicates, and beside it
the 95% t interval of that mean over replicates.
"""

import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean

from chimera.files.artifacts import read_csv, read_params
from chimera.statistics.resampling.intervals import t_interval


def row(errors, models, name):
    """Return the table; `errors` are the rows of metrics/errors.csv."""
    values = defaultdict(lambda: defaultdict(list))
    for one in errors:
        if one["axis"] == "ind":
            values[one["model"]][one["replicate"]].append(float(one["vrmse"]))
    cells = []
    for model in models:
        runs = [fmean(found) for found in values[model].values()]
        spread = ""
        if len(runs) > 1:
            low, high = t_interval(runs)
            spread = f" [{low:.4f}, {high:.4f}]"
        cells.append(f"{fmean(runs):.4f}{spread}")
    lines = ["dataset", *models], ["---", *("--:" for _ in models)], [f"`{name}`", *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    params = read_params()
    name = sys.argv[1] if len(sys.argv) > 1 else params["datasets"][0]
    print(row(read_csv(Path("metrics/errors.csv")), params["model_names"], name))  # noqa: T201
