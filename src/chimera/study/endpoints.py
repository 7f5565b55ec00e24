"""Endpoints: the numbers of one run that models are compared by.

Errors enter as the mean over trajectories of ln nRMSE, so that a difference is a log ratio of
(geometric mean) errors.
"""

import math
from collections.abc import Sequence
from statistics import fmean

from chimera.interface.errors import InputError
from chimera.study.error_table import Errors


def endpoint_names(axes: Sequence[str]) -> list[str]:
    """Return the endpoints of a study with these axes, the OOD ones last.

    >>> endpoint_names(["ind", "ood_decay"])[-3:]
    ['ood_nrmse', 'gap', 'ood_decay_nrmse']
    """
    ood = [axis for axis in axes if axis != "ind"]
    names = ["ind_nrmse", "ind_rmse_high", "ind_valid_time"]
    return names + (["ood_nrmse", "gap", *(f"{axis}_nrmse" for axis in ood)] if ood else [])


def endpoint(name: str, errors: Errors) -> float:
    """Return one endpoint of one run.

    Args:
        name: `ind_nrmse`, `ood_nrmse`, `ood_<axis>_nrmse`: mean over trajectories of ln nRMSE; the
            OOD axes weigh alike. `ind_rmse_high`: the same of the error in the highest quarter of
            wavenumbers. `gap`: ood_nrmse - ind_nrmse. `ind_valid_time`: frames, mean over
            trajectories.
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
