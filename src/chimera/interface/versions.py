"""Comparison of installed package versions with the pinned ones."""

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PINS = Path("constraints-numerics.txt")


def differing_versions(pins: Path = PINS) -> dict[str, tuple[str, str]]:
    """Return (installed, pinned) versions of the packages that differ, local labels aside.

    Args:
        pins: File of lines `package==version`, which may be missing.
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
    if found := differing_versions():
        listed = ", ".join(f"{name} {have} (pinned {want})" for name, (have, want) in found.items())
        print(f"{label}: computed by {listed}", file=sys.stderr)  # noqa: T201


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
