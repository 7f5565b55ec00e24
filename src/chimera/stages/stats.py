"""Test the preregistered contrasts, decide, and report the standing of the study.

Writes metrics/stats.json: for every model but the baseline each contrast and the verdict; the
correlations; the margin and the standing. metrics/headline.json has what DVC lists of it and of
metrics/summary.json. `--check-deviations` writes nothing and fails if a frozen parameter has
another value and no entry in Deviation_Log.md.
"""

from pathlib import Path

from chimera.files.artifacts import read_params, read_text, sha256, write_json
from chimera.governance.analysis import analyse
from chimera.governance.logbook import named_keys
from chimera.governance.plan import nearest_block
from chimera.governance.preregistration import read_preregistration, require_logged
from chimera.interface.errors import guarded
from chimera.interface.versions import report_differing_versions
from chimera.stages import read_flag
from chimera.study.error_table import METRICS, read_errors
from chimera.study.headline import headline
from chimera.study.results import read_metrics, read_numbers


def main() -> None:
    """Run the stage."""
    checks = read_flag("check_deviations", "require an entry for each; no statistics")
    params, plan = read_params(), read_preregistration()
    if checks:
        logged = named_keys(read_text(Path("Deviation_Log.md")))
        require_logged(nearest_block(plan, params)[1], logged)
        return
    report_differing_versions("stats")
    errors = read_numbers(Path("metrics/errors.csv"), ("replicate", *METRICS))
    statistics = read_numbers(Path("metrics/statistics.csv"), ("replicate", "value"))
    verified = read_metrics("verify")
    report = analyse(params, plan, read_errors(errors), statistics, verified)
    # Results made before an amendment name another.
    report["preregistration"] = sha256(Path("PREREGISTRATION.md"))[:12]
    write_json(Path("metrics/stats.json"), report, digits=6)
    shown = headline(read_metrics("summary"), report, params["model_names"])
    write_json(Path("metrics/headline.json"), shown, digits=6)


if __name__ == "__main__":
    guarded(main)
