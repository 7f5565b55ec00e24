"""The names of datasets in metrics: one axis each."""

import re
from collections.abc import Sequence

from chimera.interface.errors import InputError

_VERSION = re.compile(r"_v\d+s?$")  # `_v2`, and `_v2s` of the flows of the confirmatory study


def axis_name(dataset: str, datasets: Sequence[str]) -> str:
    """Return `ind` for the first dataset and `ood_<axis>` for every other."""
    if dataset == datasets[0]:
        return "ind"
    name = _VERSION.sub("", dataset.removeprefix("cfd2d_"))
    return name if name.startswith("ood_") else f"ood_{name}"


def datasets_by_axis(datasets: Sequence[str]) -> dict[str, str]:
    """Return the datasets by axis, IND first; InputError if two have one, as two versions do."""
    axes = {axis_name(dataset, datasets): dataset for dataset in datasets}
    if len(axes) < len(datasets):
        raise InputError(f"datasets are {', '.join(datasets)}, expected one for each axis")
    return axes
