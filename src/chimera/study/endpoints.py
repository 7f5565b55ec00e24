"""Endpoints: the numbers of one run by which models are compared."""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from chimera.interface.errors import InputError
from chimera.study.error_table import Errors, Runs


def endpoint_names(axes: Sequence[str]) -> list[str]:
    """Return the endpoints of a study with these axes, the OOD ones last."""
    ood = [axis for axis in axes if axis != "ind"]
    names = ["ind_nrmse", "ind_valid_time"]
    return names + (["ood_nrmse", "gap", *(f"{axis}_nrmse" for axis in ood)] if ood else [])


def axis_weights(declared: Mapping[str, float], axes: Iterable[str]) -> dict[str, float]:
    """Return the weight of each OOD axis in the primary endpoint; their sum is 1.

    A study of fewer axes than declared keeps the ratios of their weights. One with an axis that
    was not declared weighs all alike.

    >>> axis_weights({"ood_a": 3.0, "ood_b": 1.0}, ["ind", "ood_a", "ood_b"])
    {'ood_a': 0.75, 'ood_b': 0.25}
    """
    ood = [axis for axis in axes if axis != "ind"]
    weights = dict(declared) if set(ood) <= declared.keys() else dict.fromkeys(ood, 1.0)
    total = math.fsum(weights[axis] for axis in ood)
    return {axis: weights[axis] / total for axis in ood}


def endpoint(name: str, errors: Errors, weights: Mapping[str, float] | None = None) -> float:
    """Return one endpoint of one run, from the values per trajectory by axis.

    `ind_nrmse`, `ood_<axis>_nrmse` are means over trajectories of ln nRMSE, `ood_nrmse` is the mean
    of these over the OOD axes by the declared weights (alike without any), `gap` is
    ood_nrmse - ind_nrmse, and `ind_valid_time` a mean in frames. Another name is an InputError.
    """

    def log_mean(axis: str, metric: str) -> float:
        return fmean(math.log(value) for value in errors[axis][metric])

    ood = [axis for axis in errors if axis != "ind"]
    if name == "ind_valid_time":
        return fmean(errors["ind"]["valid_time"])
    if name == "ood_nrmse" and ood:
        share = axis_weights(weights or {}, ood)
        return math.fsum(share[axis] * log_mean(axis, "nrmse") for axis in ood)
    if name == "gap" and ood:
        return endpoint("ood_nrmse", errors, weights) - log_mean("ind", "nrmse")
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
    name: str, runs: Runs, model: str, baseline: str, weights: Mapping[str, float] | None = None
) -> list[float]:
    """Return an endpoint's difference, model minus baseline, of every replicate in order."""
    return [
        endpoint(name, errors, weights) - endpoint(name, runs[baseline, r], weights)
        for (other, r), errors in runs.items()
        if other == model
    ]
