"""Print how a finished run ended: its verdict, its report, and how far it lies from HEAD's.

`python -m chimera.commands.outcome` compares metrics/summary.json with the committed one, in units
of the standard deviation between seeds.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chimera.files.artifacts import read_params
from chimera.governance.preregistration import read_preregistration
from chimera.interface.errors import InputError, guarded
from chimera.report.verdict import verdicts
from chimera.review.changes import metric_changes, strongest
from chimera.review.revisions import read_revision, resolve, with_work_tree
from chimera.study.results import read_metrics


def comparison(summary: Mapping[str, Any]) -> str | None:
    """Return a sentence about the largest change since HEAD, None without a committed run."""
    try:
        commit = resolve("HEAD")
    except (InputError, FileNotFoundError):  # no repository, no commit in it, or no git
        return None
    try:
        committed = read_revision("HEAD", commit)
    except InputError as error:  # the run is finished all the same
        return f"There is no comparison with the committed run: {error}."
    if "summary" not in committed.metrics:
        return None
    changes = metric_changes(committed, with_work_tree(committed, summary), "summary")
    differing = strongest(changes)
    if not differing:
        return "The run gave the same numbers as the committed run."
    most = differing[0]
    before, after = ("absent" if v is None else f"{v:.4g}" for v in (most.before, most.after))
    size = most.size if most.z is None else f"{most.size} between seeds"
    return (
        f"{len(differing)} of {len(changes)} numbers differ from the committed run's, most of all "
        f"{most.name}: {before} -> {after} ({size})."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    argparse.ArgumentParser(prog="outcome", description=__doc__).parse_args(arguments)
    params, plan = read_params(), read_preregistration()
    stats, summary = read_metrics("stats"), read_metrics("summary")
    found = verdicts(stats, summary, plan, params["model_names"], params["baseline"])
    lines = [verdict.headline for verdict in found]
    report = Path("plots/report.html")
    lines += [f"Report: {report}"] if report.exists() else []
    lines += [sentence] if (sentence := comparison(summary)) else []
    print("", *lines, sep="\n")  # noqa: T201


if __name__ == "__main__":
    guarded(main)
