"""Test the preregistered contrasts, and report whether the study is the preregistered one.

Writes metrics/stats.json: for every model but the baseline each contrast, with the simulated
coverage of its intervals at this number of replicates; the correlations; and the number of
replicates that the declared effect needs. `--check-deviations` writes nothing and fails if a frozen
parameter has another value and no entry in Deviation_Log.md.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from argparse_dataclass import ArgumentParser
from numpy.typing import NDArray

from chimera.files.artifacts import read_bytes, read_csv, read_json, read_params, write_json
from chimera.governance.logbook import named_keys
from chimera.governance.preregistration import deviations, read_preregistration, require_logged
from chimera.interface.errors import guarded
from chimera.interface.versions import report_differing_versions
from chimera.statistics.power import required_replicates
from chimera.study.contrasts import contrasts, correlations, interval_coverage
from chimera.study.endpoints import endpoint, endpoint_names
from chimera.study.error_table import read_errors


@dataclass
class Options:
    """Action in place of the statistics."""

    check_deviations: bool = False


def main() -> None:
    """Run the stage."""
    options = ArgumentParser(Options).parse_args()
    params, plan = read_params(), read_preregistration()
    deviating = deviations(plan.parameters, params)
    if options.check_deviations:
        log = read_bytes(Path("Deviation_Log.md")).decode()
        require_logged(deviating, named_keys(log))
        return
    report_differing_versions("stats")
    models, baseline = params["model_names"], params["baseline"]
    replicates = params["replicates"]
    found = read_errors(read_csv(Path("metrics/errors.csv")))
    runs = {(model, r): found[model, r] for model in models for r in replicates}
    possible = endpoint_names(list(runs[models[0], replicates[0]]))
    names = [name for name in (plan.primary, *plan.secondary) if name in possible]
    labels = interval_coverage(read_csv(Path("benchmarks/calibration.csv")), len(replicates))

    def values(name: str, model: str) -> NDArray[np.float64]:
        return np.array([endpoint(name, runs[model, r]) for r in replicates])

    report: dict[str, Any] = {}
    for model in [m for m in models if m != baseline]:
        pairs = {name: (values(name, model), values(name, baseline)) for name in names}
        tested = contrasts(pairs, plan.primary, plan.alpha) if len(replicates) > 1 else {}
        report[model] = {name: row | labels for name, row in tested.items()}
    if "gap" in possible:
        statistics = {
            (row["model"], int(row["replicate"]), f"{row['probe']}.{row['statistic']}"): row
            for row in read_csv(Path("metrics/statistics.csv"))
        }
        probes = {
            name: [
                float(r["value"]) if (r := statistics.get((*run, name))) else None for run in runs
            ]
            for name in plan.correlations
        }
        gaps = [endpoint("gap", errors) for errors in runs.values()]
        report["spearman"] = correlations(probes, gaps, plan.alpha)
    frozen = read_json(Path("metrics/verify.json"))["unfrozen"] == 0
    needed = required_replicates(plan.effect, alpha=plan.alpha, power=plan.power)
    report |= {"required_replicates": needed, "replicates": len(replicates)}
    report |= {"deviations": len(deviating), "confirmatory": int(not deviating and frozen)}
    write_json(Path("metrics/stats.json"), report, digits=6)


if __name__ == "__main__":
    guarded(main)
