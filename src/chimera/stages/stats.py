"""Test the preregistered contrasts, decide, and report the standing of the study.

Writes metrics/stats.json: for every model but the baseline each contrast and the verdict; the
correlations; the margin and the standing. `--check-deviations` writes nothing and fails if a frozen
parameter has another value and no entry in Deviation_Log.md.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argparse_dataclass import ArgumentParser

from chimera.files.artifacts import read_bytes, read_csv, read_json, read_params, write_json
from chimera.governance.logbook import named_keys
from chimera.governance.preregistration import (
    Preregistration,
    nearest_block,
    read_preregistration,
    require_logged,
)
from chimera.governance.standing import standing
from chimera.interface.errors import guarded
from chimera.interface.settings import as_plain
from chimera.interface.versions import report_differing_versions
from chimera.study.contrasts import Analysis, compare, correlations
from chimera.study.decision import StoppingRule
from chimera.study.endpoints import endpoint
from chimera.study.error_table import read_errors


@dataclass
class Options:
    """Action in place of the statistics."""

    check_deviations: bool = False


def analysis(plan: Preregistration) -> Analysis:
    """Return what the preregistration declares about contrasts."""
    rule = StoppingRule(margin=plan.margin, alpha=plan.alpha, **as_plain(plan.stopping))
    names = (plan.primary, plan.secondary)
    return Analysis(*names, plan.weights, rule, plan.margin_frames, plan.power)


def main() -> None:
    """Run the stage."""
    options = ArgumentParser(Options).parse_args()
    params, plan = read_params(), read_preregistration()
    _, deviating = nearest_block(plan, params)
    if options.check_deviations:
        log = read_bytes(Path("Deviation_Log.md")).decode()
        require_logged(deviating, named_keys(log))
        return
    report_differing_versions("stats")
    models, baseline = params["model_names"], params["baseline"]
    replicates = params["replicates"]
    found = read_errors(read_csv(Path("metrics/errors.csv")))
    runs = {(model, r): found[model, r] for model in models for r in replicates}
    compared = [model for model in models if model != baseline and baseline in models]
    report: dict[str, Any] = dict(compare(runs, compared, baseline, replicates, analysis(plan)))
    decided_at = [report[model].get("decided_at") for model in compared]
    if len(params["datasets"]) > 1:
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
        gaps = [endpoint("gap", errors, plan.weights) for errors in runs.values()]
        report["spearman"] = correlations(probes, gaps, plan.alpha)
    stands = standing(plan, params, read_json(Path("metrics/verify.json")), decided_at)
    report |= {"margin": plan.margin, "replicates": len(replicates), "standing": stands}
    report |= {"confirmatory": int(stands == "confirmatory"), "deviations": len(deviating)}
    digest = hashlib.sha256(read_bytes(Path("PREREGISTRATION.md"))).hexdigest()
    report["preregistration"] = digest[:12]  # results made before an amendment name another
    write_json(Path("metrics/stats.json"), report, digits=6)


if __name__ == "__main__":
    guarded(main)
