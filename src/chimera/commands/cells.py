"""Run the cells of params.yaml side by side, and say how far they are.

DVC runs one stage after another, and a small network keeps one core busy: so each core takes a cell
(a model and a replicate) and runs its stages in one `dvc repro`, because starting costs seconds.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Event
from typing import IO

from dvc.repo import Repo

from chimera.interface.errors import InputError, guarded

REPRO = ("dvc", "--wait-for-lock", "repro", "--single-item")


def cells_of(stages: Iterable[str], kinds: Sequence[str], replicates: str = "") -> list[list[str]]:
    """Return the stages of each cell, of these kinds, of all replicates or those between `|`.

    >>> cells_of(["train@unet-0", "probe@ib-unet-0", "train@unet-10"], ["train", "probe"], "0|1")
    [['train@unet-0', 'probe@ib-unet-0']]
    """
    found: dict[str, list[str]] = {}
    for stage in stages:
        kind, _, cell = stage.partition("@")
        cell = cell.partition("-")[2] if kind == "probe" else cell
        if kind in kinds and (not replicates or cell.rpartition("-")[2] in replicates.split("|")):
            found.setdefault(cell, []).append(stage)
    return list(found.values())


def run_cells(cells: Sequence[Sequence[str]], jobs: int) -> bool:
    """Run each cell's stages, `jobs` cells at a time, and return whether none failed.

    Several cells write their progress as lines, through a pipe: bars would draw over each other.
    """
    stopped, started, ran = Event(), time.monotonic(), 0

    def run(stages: Sequence[str]) -> tuple[bool, bool]:
        """Return whether the cell succeeded, and whether any of its stages ran."""
        if stopped.is_set():
            return False, False
        pipe, command = subprocess.PIPE, [*REPRO, *stages]
        errors = pipe if jobs > 1 else None
        with (
            subprocess.Popen(command, stdout=pipe, stderr=errors, text=True) as process,
            ThreadPoolExecutor(1) as beside,
        ):
            beside.submit(_pass_on, process.stderr, sys.stderr)
            any_ran = "Running stage" in _pass_on(process.stdout, sys.stdout)
        if process.returncode:
            stopped.set()
        return process.returncode == 0, any_ran

    with ThreadPoolExecutor(jobs) as pool:
        runs = {pool.submit(run, stages): stages for stages in cells}
        try:
            for done, future in enumerate(as_completed(runs), start=1):
                succeeded, any_ran = future.result()
                if succeeded and any_ran:
                    ran += 1
                    left = (time.monotonic() - started) / ran * (len(cells) - done) / 60
                    name = runs[future][0].partition("@")[2]
                    said = f"cell {done} of {len(cells)}: {name}, about {left:.0f} min left"
                    print(said, flush=True)  # noqa: T201
        except BaseException:  # Ctrl-C, which the cells that run have heard too
            stopped.set()
            raise
    return not stopped.is_set()


def _pass_on(source: IO[str] | None, target: IO[str]) -> str:
    """Print line by line what a process prints, and return it."""
    printed = ""
    for line in source or ():
        printed += line
        target.write(line)
        target.flush()
    return printed


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="cells", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kinds", nargs="+", help="of stages: train, evaluate, probe")
    parser.add_argument("--jobs", type=int, default=1, help="cells that run side by side")
    parser.add_argument("--replicates", default="", help="such as 8|9, all unless given")
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        raise InputError(f"--jobs is {options.jobs}, expected at least 1")
    with Repo() as repo:
        stages = [stage.addressing for stage in repo.index.stages]
    kinds = {"probe", *(stage.partition("@")[0] for stage in stages)}
    numbers = {stage.rpartition("-")[2] for stage in stages if stage.startswith("train@")}
    asked = {*filter(None, options.replicates.split("|"))}
    for name, unknown in (("kinds", {*options.kinds} - kinds), ("--replicates", asked - numbers)):
        if unknown:
            raise InputError(f"{name} has {min(unknown)!r}, expected what dvc.yaml has")
    if not run_cells(cells_of(stages, options.kinds, options.replicates), options.jobs):
        sys.exit(1)


if __name__ == "__main__":
    guarded(main)
