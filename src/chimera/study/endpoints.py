"""Endpoints: the numbers of one run by which models are compared."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from chimera.interface.errors import InputError
from chimera.study.error_table import Errors


def endpoint_names(axes: Sequence[str]) -> list[str]:
    """Return the endpoints of a study with these axes, the OOD ones last."""
    ood = [axis for axis in axes if axis != "ind"]
    names = ["ind_nrmse", "ind_rmse_high", "ind_valid_time"]
    return names + (["ood_nrmse", "gap", *(f"{axis}_nrmse" for axis in ood)] if ood else [])


def endpoint(name: str, errors: Errors) -> float:
    """Return one endpoint of one run.

    Args:
        name: `ind_nrmse`, `ood_nrmse`, `ood_<axis>_nrmse`: mean over trajectories of ln nRMSE, with
            equal weight for each OOD axis. `ind_rmse_high`: the same of the error in the highest
            quarter of wavenumbers. `gap`: ood_nrmse - ind_nrmse. `ind_valid_time`: mean in frames.
        errors: Values per trajectory by axis.

    Raises:
        InputError: If there is no such endpoint.
    """

    def log_mean(axis: str, metric: str) -> float:
        return fmean(math.log(value) for value in errors[axis][metric])

    ood = [axis for axis in errors if axis != "ind"]
    if name == "ind_valid_time":
        return fmean(errors["ind"]["valid_time"])
    if name == "ind_rmse_high":
        return log_mean("ind", "rmse_high")
    if name == "ood_nrmse" and ood:
        return fmean(log_mean(axis, "nrmse") for axis in ood)
    if name == "gap" and ood:
        return endpoint("ood_nrmse", errors) - log_mean("ind", "nrmse")
    axis = name.removesuffix("_nrmse")
    if axis in errors and axis != name:
        return log_mean(axis, "nrmse")
    known = ", ".join(endpoint_names(list(errors)))
    raise InputError(f"the endpoint is {name!r}, expected one of {known}")


def by_model(stats: Mapping[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    """Return the contrasts of metrics/stats.json by model and endpoint.

    >>> by_model({"large": {"gap": {"estimate": 0.1}}, "spearman": {"withheld": 0}, "n": 3})
    {'large': {'gap': {'estimate': 0.1}}}
    """
    return {
        model: {name: dict(row) for name, row in rows.items() if isinstance(row, Mapping)}
        for model, rows in stats.items()
        if isinstance(rows, Mapping) and model != "spearman"
    }


def differences(
    name: str, runs: Mapping[tuple[str, int], Errors], model: str, baseline: str
) -> list[float]:
    """Return an endpoint's difference, model minus baseline, of every replicate in order."""
    replicates = [replicate for other, replicate in runs if other == model]
    return [endpoint(name, runs[model, r]) - endpoint(name, runs[baseline, r]) for r in replicates]
