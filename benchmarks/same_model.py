"""A/A study: how often the paired t test finds a difference between runs of one model.

The replicates of one model are paired at random, many times. Within a pair nothing differs but the
seed, so that a share alpha of the p values should be below alpha.

    python benchmarks/same_model.py --model unet
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chimera.files.artifacts import read_csv
from chimera.governance.preregistration import read_preregistration
from chimera.interface.errors import InputError, guarded
from chimera.statistics import paired_t_p
from chimera.study.endpoints import endpoint
from chimera.study.error_table import read_errors


def share_found(
    values: Sequence[float], *, alpha: float = 0.05, pairings: int = 1000, rng: int = 0
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


def main() -> None:
    """Print the share for the primary endpoint of one model in metrics/errors.csv."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="unet")
    model, plan = parser.parse_args().model, read_preregistration()
    runs = read_errors(read_csv(Path("metrics/errors.csv")))
    values = [
        endpoint(plan.primary, errors, plan.weights)
        for (name, _), errors in runs.items()
        if name == model
    ]
    share = share_found(values, alpha=plan.alpha)
    print(f"{len(values)} runs of {model}: {share:.1%} of 1,000 pairings have p < {plan.alpha:g}")


if __name__ == "__main__":
    guarded(main)
