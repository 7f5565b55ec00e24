"""Comparison of installed package versions with the pinned ones."""

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PINS = Path("constraints-numerics.txt")  # lines `package==version`


def report_differing_versions(label: str) -> None:
    """Print one line on stderr if versions differ from the pinned ones, local labels aside."""
    found = []
    for line in PINS.read_text().splitlines() if PINS.exists() else []:
        name, _, pinned = line.partition("==")
        try:
            installed = version(name)
        except (PackageNotFoundError, ValueError):
            installed = "none"
        if pinned and installed.partition("+")[0] != pinned:
            found.append(f"{name} {installed} (pinned {pinned})")
    if found:
        print(f"{label}: computed by {', '.join(found)}", file=sys.stderr)  # noqa: T201
