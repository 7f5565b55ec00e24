"""Whether the installed packages that decide numbers are those that the project pins."""

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PINS = Path("constraints-numerics.txt")


def differing_versions(pins: Path = PINS) -> dict[str, tuple[str, str]]:
    """Return (installed, pinned) of every package whose installed version is another.

    A local label, such as that of a build for a processor or GPU, is no difference.

    Args:
        pins: Lines `package==version`; a file that does not exist pins nothing.
    """
    lines = pins.read_text().splitlines() if pins.exists() else []
    pinned = dict(line.split("==") for line in lines if "==" in line)
    return {
        name: (found, expected)
        for name, expected in pinned.items()
        if (found := _installed(name)).partition("+")[0] != expected
    }


def tell_differing_versions(label: str) -> None:
    """Print one line on stderr if the numbers are computed by other versions than the pinned."""
    found = differing_versions()
    if found:
        listed = ", ".join(f"{name} {have} (pinned {want})" for name, (have, want) in found.items())
        print(f"{label}: computed by {listed}", file=sys.stderr)  # noqa: T201


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
