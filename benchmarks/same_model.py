"""A/A study: how often the paired t test finds a difference between runs of one model.

The replicates of one model are paired at random, many times. Within a pair nothing differs but the
seed, so that a share alpha of the p values should be below alpha. One line a model, of the study in
this work tree or of a record.

    python benchmarks/same_model.py [records/E1] [--output benchmarks/same_model.csv]
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chimera.files.artifacts import Row, read_csv, read_params, write_csv
from chimera.governance.preregistration import read_preregistration
from chimera.interface.errors import InputError, guarded
from chimera.statistics import paired_t_p
from chimera.study.endpoints import endpoint
from chimera.study.error_table import read_errors

PAIRINGS = 1000


def share_found(
    values: Sequence[float], *, alpha: float = 0.05, pairings: int = PAIRINGS, rng: int = 0
) -> float:
    """Return the share of random pairings of values (n,), n >= 4, whose p is below alpha.

    Each pairing has n // 2 pairs; of an odd number of values it leaves one out.
    """
    if len(values) < 4:
        raise InputError(f"'values' holds {len(values)} values, expected at least 4 to pair")
    generator, half = np.random.default_rng(rng), len(values) // 2
    found = 0
    for _ in range(pairings):
        x = generator.permutation(np.asarray(values, dtype=np.float64))
        found += paired_t_p(x[:half] - x[half : 2 * half]) < alpha
    return found / pairings


def same_model_rows(study: Path) -> list[Row]:
    """Return the shares for the primary endpoint of every model of a study."""
    plan = read_preregistration(study / "PREREGISTRATION.md")
    runs = read_errors(read_csv(study / "metrics/errors.csv"))
    rows: list[Row] = []
    for model in read_params(study / "params.yaml")["model_names"]:
        values = [
            endpoint(plan.primary, errors, plan.weights)
            for (name, _), errors in runs.items()
            if name == model
        ]
        share = share_found(values, alpha=plan.alpha)
        row: Row = {"model": model, "runs": len(values), "pairings": PAIRINGS}
        rows.append(row | {"alpha": plan.alpha, "share": share})
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the shares and, if asked, write them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("study", nargs="?", type=Path, default=Path(), help="such as records/E1")
    parser.add_argument("--output", type=Path, help="a CSV file")
    options = parser.parse_args(arguments)
    rows = same_model_rows(options.study)
    if options.output:
        write_csv(options.output, rows, digits=4)
    for row in rows:
        print(
            f"{row['runs']} runs of {row['model']}: {row['share']:.1%} of {row['pairings']:,} "
            f"pairings have p < {row['alpha']:g}"
        )


if __name__ == "__main__":
    guarded(main)
