"""Append an entry to a log, or check that the logs were only appended to, amendments logged."""

import argparse
import datetime
from pathlib import Path

from chimera.files.artifacts import read_params, sha256
from chimera.governance import logbook
from chimera.governance.plan import nearest_block
from chimera.governance.preregistration import read_preregistration
from chimera.interface.errors import InputError, guarded

DECISIONS, DEVIATIONS = Path("Decision_Log.md"), Path("Deviation_Log.md")
PREREGISTRATION = Path("PREREGISTRATION.md")
DECISION_PARTS = ("context", "decision", "alternatives")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="log", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    decision = commands.add_parser("decision", help="append to Decision_Log.md")
    decision.add_argument("title")
    for name in DECISION_PARTS:
        decision.add_argument(f"--{name}", required=True)
    deviation = commands.add_parser("deviation", help="append to Deviation_Log.md")
    deviation.add_argument("reason")
    deviation.add_argument("--key", required=True, help="dotted, such as train.steps")
    amendment = commands.add_parser("amendment", help="log that PREREGISTRATION.md was changed")
    amendment.add_argument("reason")
    fails = "fail if an older entry, or the preregistration, was edited"
    check = commands.add_parser("check", help=fails)
    check.add_argument("--base", default="main", help="revision to compare with")
    options = parser.parse_args()
    if options.command == "check":
        for path in (DECISIONS, DEVIATIONS):
            logbook.require_appended(path, options.base)
        read_preregistration()
        logbook.require_amended(PREREGISTRATION, DEVIATIONS, options.base)
        return
    commit = logbook.git("rev-parse", "--short", "HEAD").decode().strip()
    dated = {"date": datetime.date.today().isoformat(), "commit": commit}
    if options.command == "decision":
        text = {name: getattr(options, name) for name in DECISION_PARTS}
        logbook.append_entry(DECISIONS, options.title, dated | text)
        return
    plan = read_preregistration()
    if options.command == "amendment":
        fields = dated | {"sha256": sha256(PREREGISTRATION), "reason": options.reason}
        logbook.append_entry(DEVIATIONS, f"{PREREGISTRATION} was amended", fields)
        return
    found = {d.key: d for d in nearest_block(plan, read_params())[1]}
    if options.key not in found:
        known = ", ".join(found) or "none does"
        raise InputError(f"--key is {options.key}, expected a parameter that deviates: {known}")
    entry = found[options.key]
    values = {"key": entry.key, "frozen": str(entry.frozen), "running": str(entry.running)}
    title = f"{entry.key}: {entry.frozen} became {entry.running}"
    logbook.append_entry(DEVIATIONS, title, dated | values | {"reason": options.reason})


if __name__ == "__main__":
    guarded(main)
