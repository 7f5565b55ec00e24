"""Test the preregistered contrasts, decide, and report the standing of the study.

Writes metrics/stats.json: for every model but the baseline each contrast and the verdict; the
correlations; the margin and the standing. `--check-deviations` writes nothing and fails if a frozen
parameter has another value and no entry in Deviation_Log.md.
"""

from dataclasses import dataclass
from pathlib import Path

from argparse_dataclass import ArgumentParser

from chimera.files.artifacts import read_csv, read_json, read_params, read_text, sha256, write_json
from chimera.governance.analysis import analyse
from chimera.governance.logbook import named_keys
from chimera.governance.plan import nearest_block
from chimera.governance.preregistration import read_preregistration, require_logged
from chimera.interface.errors import guarded
from chimera.interface.settings import read_settings
from chimera.interface.versions import report_differing_versions
from chimera.study.error_table import read_errors


@dataclass
class Options:
    """Action in place of the statistics."""

    check_deviations: bool = False


def main() -> None:
    """Run the stage."""
    params, plan = read_params(), read_preregistration()
    if ArgumentParser(Options).parse_args().check_deviations:
        logged = named_keys(read_text(Path("Deviation_Log.md")))
        require_logged(nearest_block(plan, params)[1], logged)
        return
    report_differing_versions("stats")
    verified = Path("metrics/verify.json")
    counts = read_json(verified)
    read_settings(counts, str(verified), dict[str, int])
    report = analyse(
        params,
        plan,
        read_errors(read_csv(Path("metrics/errors.csv"))),
        read_csv(Path("metrics/statistics.csv")),
        counts,
    )
    # Results made before an amendment name another.
    report["preregistration"] = sha256(Path("PREREGISTRATION.md"))[:12]
    write_json(Path("metrics/stats.json"), report, digits=6)


if __name__ == "__main__":
    guarded(main)
