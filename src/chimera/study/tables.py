"""Small tables for git, with what plots and comparisons of commits show of the full tables.

The full tables, with all replicates and columns at nine significant digits, are in DVC's cache.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from chimera.study.error_table import METRICS


class Digest(NamedTuple):
    """Definition of a small table."""

    keys: tuple[str, ...]  # columns that identify a row
    values: tuple[str, ...]  # columns of numbers: means over the full rows that share the keys
    only: Mapping[str, tuple[str, ...]]  # permitted values of other columns


DIGESTS = {
    "training": Digest(("model", "replicate", "step"), ("train_loss", "valid_nrmse"), {}),
    "rollout": Digest(("model", "axis", "frame"), ("nrmse", "correlation"), {}),
    "twonn": Digest(("model", "axis", "site", "depth"), ("dimension",), {"estimator": ("linear",)}),
    "ib": Digest(
        ("model", "axis", "site", "depth", "pair"), ("information",), {"withheld": ("0",)}
    ),
    "spectra": Digest(
        ("model", "axis", "frame", "quantity", "wavenumber"),
        ("energy",),
        {"quantity": ("prediction", "target", "error")},
    ),
    "patching": Digest(
        ("model", "donor", "recipient", "site", "depth"),
        ("effect", "faithfulness"),
        {"band": ("all",)},
    ),
    "rome": Digest(("model", "axis", "method"), ("efficacy", "ind_drift"), {"chosen": ("1",)}),
}
BY_RUN = Digest(("model", "replicate", "axis"), METRICS, {})  # of metrics/errors.csv


def digest(rows: Sequence[Mapping[str, str]], kept: Digest) -> list[dict[str, str | float]]:
    """Return the small table of a full one."""
    groups: dict[tuple[str, ...], list[Mapping[str, str]]] = {}
    for row in rows:
        if all(row[column] in values for column, values in kept.only.items()):
            groups.setdefault(tuple(row[key] for key in kept.keys), []).append(row)
    return [
        dict(zip(kept.keys, group, strict=True))
        | {name: fmean(float(row[name]) for row in members) for name in kept.values}
        for group, members in groups.items()
    ]
