"""The limits that the project holds itself to, printed with what is measured.

    python benchmarks/limits.py [--smoke]

Sizes are counted in the working tree. Seconds depend on the machine and on what else it does, so
that a bare pipeline of as many stages, each with one small dependency and one output, is run
beside them: a run without anything to do is timed in turns with the bare pipeline's, the medians of
five count, and the ratio of their processor seconds has a limit of its own. Seconds are printed as
they are, and scaled to a machine on which the bare pipeline takes REFERENCE seconds; those decide
whether the command ends with status 1, as every other limit does that is exceeded.

`--smoke` runs the smoke scale twice in a temporary clone: the first run makes data and compiles,
the second is forced to run every stage again, data included, and is timed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
ENVIRONMENT = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
IDLE = ("dvc", "repro", "--dry", "--allow-missing")  # in a fresh clone, too
REFERENCE = 0.6  # s: an idle run of the bare pipeline where the limits in seconds were set


def lines(*paths: Path) -> int:
    """Return the number of lines of files."""
    return sum(len(path.read_text().splitlines()) for path in paths)


def row(name: str, value: float, limit: float, unit: str) -> bool:
    """Print one limit, and return whether it holds."""
    holds = value <= limit
    print(f"{name:48}{value:>10.5g}{limit:>10.5g} {unit:8}{'holds' if holds else 'EXCEEDED'}")
    return holds


def seconds(name: str, value: float, limit: float, bare: float) -> bool:
    """Print a limit in seconds, as measured and scaled, and return whether the scaled ones hold."""
    row(name, value, limit, "s")
    return row(f"  scaled by {REFERENCE} s / {bare:.2g} s", value * REFERENCE / bare, limit, "s")


def run(folder: Path, *command: str) -> tuple[float, float, str]:
    """Return a command's seconds, those of processors of all its children, and what it printed."""
    before, start = os.times(), time.monotonic()
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, check=True, capture_output=True, text=True
    )
    after = os.times()
    user = after.children_user - before.children_user
    return time.monotonic() - start, user, done.stdout


def bare_pipeline(folder: Path, count: int) -> None:
    """Run a pipeline of stages that copy one small file each."""
    stages = {}
    for number in range(count):
        source, copy = f"{number}.txt", f"{number}.out"
        (folder / source).write_text(source)
        stages[f"copy{number}"] = {"cmd": f"cp {source} {copy}", "deps": [source], "outs": [copy]}
    (folder / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    for command in ("git init", "dvc init", "dvc repro"):
        run(folder, *command.split(), "--quiet")


def idle() -> tuple[float, float, float]:
    """Return the wall and user seconds of a run without anything to do, and a bare pipeline's."""
    stages = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
    with tempfile.TemporaryDirectory() as name:
        bare = Path(name)
        bare_pipeline(bare, len(stages))
        turns = [(*run(ROOT, *IDLE)[:2], run(bare, *IDLE)[1]) for _ in range(5)]
    wall, user, user_of_bare = map(statistics.median, zip(*turns, strict=True))
    return wall, user, user_of_bare


def smoke() -> tuple[float, float, int]:
    """Return the wall and user seconds of the smoke scale, and how many stages ran."""
    with tempfile.TemporaryDirectory() as name:
        clone = Path(name) / "chimera"
        run(ROOT, "git", "clone", "--quiet", str(ROOT), str(clone))
        command = ("dvc", "exp", "run", "-S", "scale=smoke")
        run(clone, *command)
        wall, user, printed = run(clone, *command, "--force")
        return wall, user, printed.count("Running stage '")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="run the smoke scale, two minutes")
    options = parser.parse_args()
    print(f"{'':48}{'measured':>10}{'limit':>10}")
    tables = sum(path.stat().st_size for path in (ROOT / "plots/tables").glob("*"))
    holds = [
        row("source", lines(*(ROOT / "src").rglob("*.py")), 20_000, "lines"),
        row("dvc.lock", lines(ROOT / "dvc.lock"), 4_500, "lines"),
        row("dvc.yaml", lines(ROOT / "dvc.yaml"), 400, "lines"),
        row("tables in git", tables / 1000, 200, "kB"),
    ]
    wall, user, bare = idle()
    holds.append(seconds("dvc repro with nothing to do", wall, 1.2, bare))
    holds.append(row(f"  of a bare pipeline's {bare:.2g} s", user / bare, 2, "times"))
    if options.smoke:
        wall, user, count = smoke()
        print(f"dvc exp run -S scale=smoke, all {count} stages")
        for name, taken, limit in (("wall", wall, 50), ("processors", user, 70)):
            holds.append(seconds(f"  {name}", taken, limit, bare))
    sys.exit(0 if all(holds) else 1)


if __name__ == "__main__":
    main()
