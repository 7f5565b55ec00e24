"""Small tables for git, with what plots and comparisons of commits show of the full tables.

The full tables, with all replicates and columns at nine significant digits, are in DVC's cache.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from chimera.study.error_table import METRICS
from chimera.study.labels import axis_label, model_label


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


def mean_and_spread(row: Mapping[str, float], name: str) -> str:
    """Return a mean and, if there is one, its standard deviation over replicates.

    >>> mean_and_spread({"nrmse": 0.07612, "nrmse_sd": 0.00123}, "nrmse")
    '0.0761 ± 0.0012'
    >>> mean_and_spread({"nrmse": 0.3}, "nrmse"), mean_and_spread({}, "nrmse")
    ('0.300', 'withheld')
    """
    if name not in row:
        return "withheld"
    value, spread = row[name], row.get(f"{name}_sd")
    size = max(abs(value), abs(spread or 0.0))
    form = f".{max(0, 2 - math.floor(math.log10(size)))}f" if size > 1e-4 else ".2g"
    return f"{value:{form}}" + (f" ± {spread:{form}}" if spread is not None else "")


def latex_errors(summary: Mapping[str, Any], models: Sequence[str]) -> str:
    """Return one-step nRMSE as LaTeX (package booktabs): a row a forecaster, the models first.

    A column is an axis, `ood` their mean; a cell is the mean with its spread over replicates.
    """
    axes = [name for name, row in summary[models[0]].items() if isinstance(row, Mapping)]
    lines = ["% one-step nRMSE, mean and standard deviation over replicates"]
    lines += [rf"\begin{{tabular}}{{l{'r' * len(axes)}}}", r"\toprule"]
    lines += [" & ".join(["", *map(axis_label, axes)]) + r" \\", r"\midrule"]
    for group in (models, [name for name in summary if name not in models]):
        for name in group:
            cells = [mean_and_spread(summary[name].get(axis, {}), "nrmse") for axis in axes]
            row = [c if c == "withheld" else f"${c}$".replace("±", r"\pm") for c in cells]
            lines.append(" & ".join([model_label(name), *row]) + r" \\")
        lines.append(r"\midrule")
    return "\n".join([*lines[:-1], r"\bottomrule", r"\end{tabular}", ""])
