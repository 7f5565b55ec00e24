"""Run the confirmatory study until its declared rule ends it: `make study`.

Composes params.yaml from `scale=study` with the first n of the declared replicates, runs their
cells side by side, and looks: from the first look on at every number of replicates in order, one
line each. The first decision stands; params.yaml then has the replicates up to it. A killed study
goes on from params.yaml, and cells that have finished do not run again.
"""

import argparse
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chimera.files import artifacts
from chimera.governance.logbook import git
from chimera.governance.plan import Preregistration, nearest_block
from chimera.governance.preregistration import read_preregistration
from chimera.governance.standing import ends_at
from chimera.interface.errors import InputError, guarded
from chimera.planning.composition import compose
from chimera.report.verdict import change, endpoint_phrase
from chimera.statistics.confidence_sequences import confidence_sequence
from chimera.statistics.resampling.samples import Floats
from chimera.study.decision import StoppingRule, decide, outlook, rule_of
from chimera.study.endpoints import differences
from chimera.study.error_table import read_errors
from chimera.study.labels import model_label
from chimera.study.stopping import UNDECIDED

PARAMS = Path("params.yaml")
MAKE = ("make", "--no-print-directory")
say = partial(print, flush=True)  # at once, whatever reads it


def run(*command: str) -> None:
    """Run a command that prints for itself."""
    if subprocess.run(command, check=False).returncode:
        raise InputError(f"`{' '.join(command)}` failed, as printed above; `make study` goes on")


class DeclaredStudy(NamedTuple):
    """The declared study, and settings that it leaves open, such as `train.device=cuda`."""

    plan: Preregistration
    overrides: tuple[str, ...] = ()

    def composed(self, n: int) -> str:
        """Return params.yaml with the first n replicates; InputError unless it is as declared."""
        replicates = ",".join(map(str, self.plan.study["replicates"][:n]))
        text = compose(["scale=study", f"replicates=[{replicates}]", *self.overrides])
        block, deviating = nearest_block(self.plan, artifacts.parse_yaml(text, PARAMS.name))
        if block != "study" or deviating:
            first = f": {deviating[0].key} is {deviating[0].running}" if deviating else ""
            stated = f"scale=study composes what PREREGISTRATION.md does not declare{first}"
            raise InputError(f"{stated}; expected the block study as declared")
        return text

    def begun(self) -> int:
        """Return how many replicates began; InputError if edits of params.yaml would be lost."""
        present = artifacts.read_text(PARAMS)
        replicates = artifacts.read_params().get("replicates")
        n = len(replicates) if isinstance(replicates, list) else 0
        if 0 < n <= self.plan.stopping.last_look and present == self.composed(n):
            return n
        if present != git("show", f"HEAD:./{PARAMS}").decode():
            raise InputError(
                f"{PARAMS} has edits that are not committed, expected the committed file or what "
                "`make study` wrote with the same OVERRIDES: run it in a work tree of its own"
            )
        return 0

    def differences(self) -> dict[str, Floats]:
        """Return the primary endpoint's differences (n,) of every compared model."""
        params = artifacts.read_params()
        runs = read_errors(artifacts.read_csv(Path("metrics/errors.csv")))
        baseline, plan = params["baseline"], self.plan
        return {
            model: np.array(differences(plan.primary, runs, model, baseline, plan.weights))
            for model in params["model_names"]
            if model != baseline
        }


def look_line(model: str, d: Floats, plan: Preregistration, rule: StoppingRule) -> str:
    """Return in one line what the differences d (n,) say of a model."""

    def sequence(alpha: float) -> str:
        low, high = confidence_sequence(d, alpha, prior_variance=rule.prior_variance)
        ends = f"{change(plan.primary, low)} to {change(plan.primary, high)}"
        return f"{1 - alpha:.0%} sequence {ends}"

    verdict, at = decide(d, rule)
    if verdict != UNDECIDED:
        verdict += "" if at == len(d) else f" since {at} replicates"
    elif len(d) < rule.last_look:
        verdict += f", about {outlook(d, rule).further:.0f} more replicates expected"
    return (
        f"n = {len(d)}: {endpoint_phrase(plan.primary)} of {model_label(model)} "
        f"{change(plan.primary, float(d.mean()))} ({sequence(2 * rule.alpha)}, "
        f"{sequence(rule.alpha)}): {verdict}"
    )


def run_study(
    study: DeclaredStudy,
    *,
    jobs: int = 1,
    more: int | None = None,
    run: Callable[..., None] = run,
    say: Callable[[str], None] = say,
) -> None:
    """Run the study until its rule ends it, or with at most `more` replicates beside those begun.

    As many replicates as keep all jobs busy run at a time; each is a look of its own.
    """
    plan, stopping, rule = study.plan, study.plan.stopping, rule_of(study.plan)
    n = study.begun()
    limit = stopping.last_look if more is None else min(n + more, stopping.last_look)
    target, seen = max(n, min(stopping.first_look, limit)), 0
    while True:
        artifacts.write_text(PARAMS, study.composed(target))
        run(*MAKE, "check")
        if unfrozen := artifacts.read_json(Path("metrics/verify.json"))["unfrozen"]:
            raise InputError(
                f"metrics/verify.json counts {unfrozen} unfrozen files, expected frozen data: run "
                "`make hash_missing` and commit the manifests before anything is trained"
            )
        new = "|".join(map(str, plan.study["replicates"][seen:target]))
        run(*MAKE, "cells", f"REPLICATES={new}")  # DVC takes seconds to see that a cell is finished
        run("dvc", "repro", "aggregate")
        found = study.differences()
        end = ends_at(plan, [decide(d, rule).replicates for d in found.values()])
        for k in range(max(seen + 1, stopping.first_look), min(target, end) + 1):
            for model, d in found.items():
                say(look_line(model, d[:k], plan, rule))
        seen = target
        if end <= target or target >= limit:
            break
        target = min(target + max(1, jobs // len(plan.study["model_names"])), limit)
    artifacts.write_text(PARAMS, study.composed(min(target, end)))
    run("dvc", "repro")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="study", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1, help="cells that run side by side")
    parser.add_argument("--more", type=int, help="add so many replicates at most")
    parser.add_argument("overrides", nargs="*", help="that the plan leaves open: train.device=cuda")
    options = parser.parse_args(arguments)
    for name in ("jobs", "more"):
        if (value := getattr(options, name)) is not None and value < 1:
            raise InputError(f"--{name} is {value}, expected at least 1")
    study = DeclaredStudy(read_preregistration(), tuple(options.overrides))
    run_study(study, jobs=options.jobs, more=options.more)


if __name__ == "__main__":
    guarded(main)
