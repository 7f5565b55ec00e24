"""Test the preregistered contrasts, and say how far the study is the preregistered one.

Writes metrics/stats.json: every contrast, its intervals labelled with their simulated coverage at
so many replicates, and how many the declared effect needs. With `--check-deviations` it writes
nothing and fails, naming each frozen parameter that has another value and no entry in
Deviation_Log.md.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from argparse_dataclass import ArgumentParser
from numpy.typing import NDArray

from chimera.files.artifacts import read_csv, read_json, read_params, write_json
from chimera.governance.logbook import logged_keys
from chimera.governance.preregistration import deviations, read_preregistration, require_logged
from chimera.interface.errors import guarded
from chimera.statistics.power import required_replicates
from chimera.study.contrasts import (
    contrasts,
    correlations,
    endpoint,
    endpoint_names,
    interval_coverage,
)


@dataclass
class Options:
    """What to do instead of the statistics."""

    check_deviations: bool = field(default=False)


def probe_statistic(name: str, model: str, replicate: int) -> float | None:
    """Return `<probe>.<statistic>` of one run; None where the run had to withhold it."""
    probe, _, statistic = name.partition(".")
    return read_json(Path(f"metrics/runs/{model}/{replicate}/{probe}.json")).get(statistic)


def main() -> None:
    """Run the stage."""
    options = ArgumentParser(Options).parse_args()
    params, plan = read_params(), read_preregistration()
    if options.check_deviations:
        found = deviations(plan.parameters, params)
        require_logged(found, logged_keys(Path("Deviation_Log.md")))
        return
    datasets, baseline = params["datasets"], params["baseline"]
    replicates, others = params["replicates"], [m for m in params["model_names"] if m != baseline]
    runs = {
        (model, replicate): read_json(Path(f"metrics/runs/{model}/{replicate}/evaluate.json"))
        for model in params["model_names"]
        for replicate in replicates
    }
    declared = [plan.primary, *plan.secondary]
    names = [name for name in declared if name in endpoint_names(datasets)]
    report: dict[str, Any] = {}
    for model in others if len(replicates) > 1 else []:

        def values(name: str, which: str) -> NDArray[np.float64]:
            return np.array([endpoint(name, runs[which, r], datasets) for r in replicates])

        pairs = {name: (values(name, model), values(name, baseline)) for name in names}
        prefix = f"{model}." if len(others) > 1 else ""
        tested = contrasts(pairs, plan.primary, plan.alpha)
        labels = interval_coverage(read_csv(Path("benchmarks/calibration.csv")), len(replicates))
        report |= {prefix + name: row | labels for name, row in tested.items()}
    probes = {
        name: [probe_statistic(name, model, replicate) for model, replicate in runs]
        for name in plan.correlations
    }
    if "gap" in endpoint_names(datasets):
        gaps = [endpoint("gap", run, datasets) for run in runs.values()]
        report["spearman"] = correlations(probes, gaps, plan.alpha)
    frozen = read_json(Path("metrics/verify.json"))["unfrozen"] == 0
    deviating = deviations(plan.parameters, params)
    report["required_replicates"] = required_replicates(
        plan.effect, alpha=plan.alpha, power=plan.power
    )
    report["replicates"] = len(replicates)
    report["deviations"] = len(deviating)
    report["confirmatory"] = int(not deviating and frozen)
    write_json(Path("metrics/stats.json"), report)


if __name__ == "__main__":
    guarded(main)
