"""Comparison of the installed packages that affect numbers with the pinned versions."""

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PINS = Path("constraints-numerics.txt")


def differing_versions(pins: Path = PINS) -> dict[str, tuple[str, str]]:
    """Return (installed, pinned) of every package whose installed version differs.

    Local labels, such as `+cpu`, are ignored. `pins` has lines `package==version`; a file that does
    not exist pins nothing.
    """
    lines = pins.read_text().splitlines() if pins.exists() else []
    pinned = dict(line.split("==") for line in lines if "==" in line)
    return {
        name: (found, expected)
        for name, expected in pinned.items()
        if (found := _installed(name)).partition("+")[0] != expected
    }


def report_differing_versions(label: str) -> None:
    """Print one line on stderr if installed versions differ from the pinned ones."""
    found = differing_versions()
    if found:
        listed = ", ".join(f"{name} {have} (pinned {want})" for name, (have, want) in found.items())
        print(f"{label}: computed by {listed}", file=sys.stderr)  # noqa: T201


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
