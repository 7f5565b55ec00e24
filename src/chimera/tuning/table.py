"""The table of a search: its winner, and what it says about the cost of searching.

The winner has the least validation error. The error to be expected of the best of k trials, out of
n that were made, is the mean over all subsets of size k: with errors v_1 <= ... <= v_n,
sum_i C(n - i, k - 1) v_i / C(n, k) (as Dodge et al. 2019, section 3, but without replacement).
"""

from collections.abc import Mapping, Sequence
from math import comb, isfinite

from chimera.interface.errors import InputError

Trial = Mapping[str, str | float]


def ranked(rows: Sequence[Trial]) -> list[Trial]:
    """Return the trials of one model, the best first; of equal ones that of the smaller lr."""
    return sorted(rows, key=lambda row: (float(row["valid_nrmse"]), float(row["lr"])))


def trials_by_model(rows: Sequence[Trial]) -> dict[str, list[Trial]]:
    """Return the trials of every model; InputError if one has fewer trials than another."""
    found: dict[str, list[Trial]] = {}
    for row in rows:
        found.setdefault(str(row["model"]), []).append(row)
    sizes = {model: len(trials) for model, trials in found.items()}
    if len(set(sizes.values())) > 1:
        raise InputError(f"the models have {sizes} trials, expected the same number for each")
    return found


def winner(rows: Sequence[Trial]) -> dict[str, float]:
    """Return the number of trials of one model, and what is the best one's, by `best_<column>`."""
    best, names = ranked(rows)[0], ("lr", "weight_decay", "valid_nrmse")
    return {"trials": len(rows)} | {f"best_{name}": float(best[name]) for name in names}


def require_bracketed(model: str, rows: Sequence[Trial]) -> None:
    """Raise InputError if the best trial has the lowest or the highest rate, or diverged."""
    rates, best = sorted(float(row["lr"]) for row in rows), ranked(rows)[0]
    if not rates[0] < float(best["lr"]) < rates[-1] or not isfinite(float(best["valid_nrmse"])):
        raise InputError(
            f"the best lr of {model} is {best['lr']}, expected one between the lowest and the "
            f"highest tried, {rates[0]:g} and {rates[-1]:g}: widen lr in tuning/params.yaml"
        )


def best_of(errors: Sequence[float]) -> list[float]:
    """Return the error to be expected of the best of k of these trials, for k = 1 .. n.

    >>> best_of([3.0, 1.0, 2.0])
    [2.0, 1.3333333333333333, 1.0]
    """
    ordered, n = sorted(errors), len(errors)
    return [
        sum(comb(n - i, k - 1) * v for i, v in enumerate(ordered, 1) if n - i >= k - 1) / comb(n, k)
        for k in range(1, n + 1)
    ]


def gain_of_longer(rows: Sequence[Trial]) -> tuple[int, int, float] | None:
    """Return what the longest training of one model's best trial gains, from tuning/repeats.csv.

    That is the steps of the shorter and of the longer training from one seed, and the part of the
    validation error that the longer takes away; None if there are no such two.
    """
    longer = max(rows, key=lambda row: int(row["steps"]), default=None)
    same = ("trial", "seed")
    shorter = [r for r in rows if longer and all(r[k] == longer[k] for k in same) and r != longer]
    if longer is None or not shorter:
        return None
    before, after = (float(row["valid_nrmse"]) for row in (shorter[0], longer))
    return int(shorter[0]["steps"]), int(longer["steps"]), 1 - after / before
