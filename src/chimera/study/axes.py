"""The names of datasets in metrics: one axis each."""

from collections.abc import Sequence


def axis_name(dataset: str, datasets: Sequence[str]) -> str:
    """Return `ind` for the first dataset and `ood_<axis>` for every other."""
    if dataset == datasets[0]:
        return "ind"
    name = dataset.removeprefix("cfd2d_")
    stem, _, version = name.rpartition("_v")
    if stem and version.isdigit():
        name = stem
    return name if name.startswith("ood_") else f"ood_{name}"
