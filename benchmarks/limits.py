"""The limits that the project holds itself to, printed with what is measured.

    python benchmarks/limits.py [--smoke]

Sizes are counted in the working tree. A run without anything to do is timed five times, the median
counts. `--smoke` runs the smoke scale twice in a temporary clone: the first run makes data and
compiles, the second, with another seed, is timed.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
ENVIRONMENT = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def lines(*paths: Path) -> int:
    """Return the number of lines of files."""
    return sum(len(path.read_text().splitlines()) for path in paths)


def row(name: str, value: float, limit: float, unit: str) -> None:
    """Print one limit."""
    verdict = "holds" if value <= limit else "EXCEEDED"
    print(f"{name:48}{value:>10.4g}{limit:>10.4g} {unit:8}{verdict}")


def run(folder: Path, *command: str) -> tuple[float, float]:
    """Run a command and return its seconds, and those of processors of all its children."""
    before, start = os.times(), time.monotonic()
    subprocess.run(command, cwd=folder, env=ENVIRONMENT, check=True, capture_output=True)
    after = os.times()
    return time.monotonic() - start, after.children_user - before.children_user


def smoke() -> tuple[float, float]:
    """Return the wall and user seconds of the smoke scale where its data are there."""
    with tempfile.TemporaryDirectory() as name:
        clone = Path(name) / "chimera"
        run(ROOT, "git", "clone", "--quiet", str(ROOT), str(clone))
        shutil.rmtree(clone / ".dvc/cache", ignore_errors=True)
        run(clone, "dvc", "exp", "run", "-S", "scale=smoke", "-S", "seed=1")
        return run(clone, "dvc", "exp", "run", "-S", "scale=smoke", "-S", "seed=2")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="run the smoke scale, two minutes")
    options = parser.parse_args()
    print(f"{'':48}{'measured':>10}{'limit':>10}")
    row("source", lines(*(ROOT / "src").rglob("*.py")), 14_000, "lines")
    row("dvc.lock", lines(ROOT / "dvc.lock"), 4_500, "lines")
    row("dvc.yaml", lines(ROOT / "dvc.yaml"), 400, "lines")
    tables = sum(path.stat().st_size for path in (ROOT / "plots/tables").glob("*"))
    row("tables in git", tables / 1000, 200, "kB")
    idle = statistics.median(run(ROOT, "dvc", "repro", "--dry")[0] for _ in range(5))
    row("dvc repro with nothing to do", idle, 1.2, "s")
    if options.smoke:
        wall, user = smoke()
        row("dvc exp run -S scale=smoke, wall", wall, 50, "s")
        row("dvc exp run -S scale=smoke, processors", user, 70, "s")


if __name__ == "__main__":
    main()
