"""What people compare of two experiments: the metrics that DVC lists, few enough to be read."""

from collections.abc import Mapping, Sequence
from typing import Any


def headline(
    summary: Mapping[str, Any], stats: Mapping[str, Any], models: Sequence[str]
) -> dict[str, Any]:
    """Return part of metrics/summary.json and metrics/stats.json, under the same keys.

    Of each model the one-step nRMSE on each axis, with its spread for `ind` and `ood`, and the gap;
    of each compared model `ood_nrmse.estimate`, `.ci_low`, `.ci_high`, `.p` and the verdict; the
    standing.
    """
    found: dict[str, Any] = {}
    for model in models:
        own, compared = summary[model], stats.get(model, {})
        spread = dict.fromkeys(("ind", "ood"), ("nrmse", "nrmse_sd"))
        found[model] = {
            axis: {key: row[key] for key in spread.get(axis, ("nrmse",)) if key in row}
            for axis, row in own.items()
            if isinstance(row, Mapping)
        }
        found[model] |= {key: own[key] for key in ("gap",) if key in own}  # without an axis, none
        if contrast := compared.get("ood_nrmse"):
            kept = ("estimate", "ci_low", "ci_high", "p")
            found[model]["ood_nrmse"] = {key: contrast[key] for key in kept}
        if "verdict" in compared:
            found[model]["verdict"] = compared["verdict"]
    return found | {"standing": stats["standing"]}
