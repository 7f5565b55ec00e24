"""What the sentences of templates/prose.html are made of, from the parameters and metrics."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from scipy.special import stdtrit

from chimera.files.artifacts import read_yaml
from chimera.study.endpoints import by_model
from chimera.study.labels import model_label
from chimera.study.stopping import UNDECIDED
from chimera.tuning.table import Trial, gain_of_longer

FINDINGS = Path(__file__).with_name("templates") / "findings.yaml"
_SITES = {"output": "as a whole", "skip0": "by the finest skip", "bottleneck": "by the bottleneck"}
_END = "_output_faithfulness"


def gains_by_model(
    repeats: Sequence[Trial], models: Sequence[str]
) -> dict[str, tuple[int, int, float]]:
    """Return what more steps would give each model, from tuning/repeats.csv, if it was tried."""
    found = {m: gain_of_longer([row for row in repeats if row["model"] == m]) for m in models}
    return {model: gain for model, gain in found.items() if gain}


def probe_findings(probes: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, str]:
    """Return the paragraph of each probe of metrics/probes.json that has one.

    >>> found = probe_findings({"unet": {"ib": {"ind_x_t_bottleneck": 0.5}}})
    >>> found["ib"].split(" nats")[0]
    "UNet: of the input's two main components the bottleneck shows 0.50"
    """
    found = {}
    for probe, sentences in read_yaml(FINDINGS).items():
        parts = []
        for model, rows in probes.items():
            numbers = dict(rows.get(probe, {}))
            said = []
            for sentence in sentences["said"]:
                with suppress(KeyError):
                    said.append(sentence.format_map(numbers))
            if said:
                parts.append(f"{model_label(model)}: {', '.join(said)}.")
        if parts:
            found[probe] = " ".join([*parts, sentences["overturned"]])
    return found


def undecided(stats: Mapping[str, Any]) -> list[str]:
    """Return the models without a verdict."""
    return [model for model in by_model(stats) if stats[model]["verdict"] == UNDECIDED]


def withheld_statistics(probes: Mapping[str, Any]) -> list[str]:
    """Return how many values each probe of each model withheld, and why."""
    return sorted(
        f"{model_label(model)}, {probe}, {name.replace('_', ' ')}: {value:.0f}"
        for model, by_probe in probes.items()
        for probe, row in by_probe.items()
        for name, value in row.items()
        if name.startswith("withheld") and not name.endswith("_sd") and value
    )


def faithfulness_of_twins(found: Mapping[str, Any], models: Sequence[str]) -> list[str]:
    """Return which sites carry each factor of counterfactual twins, by model."""
    parts = []
    for model in models:
        row = found.get(model, {}).get("patching", {})
        for factor in (name.removesuffix(_END) for name in row if name.endswith(_END)):
            names = {f"{factor}_{site}_faithfulness": said for site, said in _SITES.items()}
            shares = [f"{row[name]:.2f} {said}" for name, said in names.items() if name in row]
            parts.append(f"{model_label(model)}, {factor}: {', '.join(shares)}")
    return parts


def localisation_intervals(
    statistics: Sequence[Mapping[str, Any]], models: Sequence[str]
) -> dict[str, tuple[float, float, int]]:
    """Return the 95% t interval of each model's correlation of patching effect and repair.

    Of the rows of metrics/statistics.csv; n, the runs that have it, stands third. Values without
    spread have no interval.
    """
    found = {}
    for model in models:
        wanted = {"model": model, "probe": "rome", "statistic": "localisation_rho"}
        rhos = [float(row["value"]) for row in statistics if wanted.items() <= row.items()]
        if len(set(rhos)) > 1:
            n = len(rhos)
            half = float(-stdtrit(n - 1, 0.025)) * stdev(rhos) / math.sqrt(n)
            found[model] = max(fmean(rhos) - half, -1.0), min(fmean(rhos) + half, 1.0), n
    return found
