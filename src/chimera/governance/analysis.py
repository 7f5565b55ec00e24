"""The declared analysis, from errors per trajectory to the content of metrics/stats.json."""

from collections.abc import Mapping, Sequence
from typing import Any

from chimera.governance.plan import Preregistration, nearest_block
from chimera.governance.standing import standing
from chimera.interface.errors import InputError, listed
from chimera.study.aggregation import read_statistics
from chimera.study.contrasts import compare, correlations
from chimera.study.endpoints import endpoint
from chimera.study.error_table import Runs


def analyse(
    params: Mapping[str, Any],
    plan: Preregistration,
    errors: Runs,
    statistics: Sequence[Mapping[str, str]],
    verify: Mapping[str, int],
) -> dict[str, Any]:
    """Return contrasts and verdict of every model, correlations, margin and standing.

    The errors are by (forecaster, replicate); `statistics` and `verify` are the files in metrics/.
    """
    models, baseline, replicates = (params[k] for k in ("model_names", "baseline", "replicates"))
    if lacking := [f"{m} {r}" for m in models for r in replicates if (m, r) not in errors]:
        raise InputError(f"errors.csv of the study has no {listed(lacking)}, expected every run")
    runs = {(model, r): errors[model, r] for model in models for r in replicates}
    measured = read_statistics(statistics, params)
    compared = [model for model in models if model != baseline and baseline in models]
    report: dict[str, Any] = dict(compare(runs, compared, baseline, replicates, plan))
    decided_at = [report[model].get("decided_at") for model in compared]
    if len(params["datasets"]) > 1:
        probes = {
            name: [found.get(probe, {}).get(statistic) for found in measured.values()]
            for name in plan.correlations
            for probe, _, statistic in [name.partition(".")]
        }
        ood = [endpoint("ood_nrmse", found, plan.weights) for found in runs.values()]
        report["spearman"] = correlations(probes, ood, [m for m, _ in runs], plan.alpha)
    stands = standing(plan, params, verify, decided_at)
    report |= {"margin": plan.margin, "replicates": len(replicates), "standing": stands}
    deviations = len(nearest_block(plan, params)[1])
    return report | {"confirmatory": int(stands == "confirmatory"), "deviations": deviations}
