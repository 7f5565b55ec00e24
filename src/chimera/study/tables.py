"""Small tables for git, made of the full ones: what plots and differences between commits show.

The full tables, with every replicate and column at nine significant digits, lie in DVC's cache.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from chimera.study.error_table import METRICS


class Digest(NamedTuple):
    """What a small table keeps of a full one.

    Attributes:
        keys: Columns that tell its rows apart; the values are means over the rows that share them.
        values: Columns of numbers.
        only: Values that a row must have to be kept, by column.
    """

    keys: tuple[str, ...]
    values: tuple[str, ...]
    only: Mapping[str, tuple[str, ...]]


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
        ("model", "donor", "recipient", "site", "depth", "direction", "band"), ("effect",), {}
    ),
    "rome": Digest(("model", "axis", "method"), ("efficacy", "ind_drift"), {}),
}


BY_RUN = Digest(("model", "replicate", "axis"), METRICS, {})  # of metrics/errors.csv


def digest(rows: Sequence[Mapping[str, str]], kept: Digest) -> list[dict[str, str | float]]:
    """Return the small table of a full one.

    >>> rows = [{"model": "a", "x": "1", "y": y} for y in ("2", "4")]
    >>> digest(rows, Digest(("model", "x"), ("y",), {"model": ("a",)}))
    [{'model': 'a', 'x': '1', 'y': 3.0}]
    """
    groups: dict[tuple[str, ...], list[Mapping[str, str]]] = {}
    for row in rows:
        if all(row[column] in values for column, values in kept.only.items()):
            groups.setdefault(tuple(row[key] for key in kept.keys), []).append(row)
    return [
        dict(zip(kept.keys, group, strict=True))
        | {name: fmean(float(row[name]) for row in members) for name in kept.values}
        for group, members in groups.items()
    ]
