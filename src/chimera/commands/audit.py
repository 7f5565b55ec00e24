"""Check in seconds that every number of the studies follows from their errors per trajectory.

`python -m chimera.commands.audit` checks the default run, every record under records/ and README;
`audit records/NAME` one record. It needs a clone, numpy, scipy and pyyaml, and neither data nor the
project's environment. `--deep`, which needs both, evaluates checkpoints anew, as many as four
minutes allow. Exit status 1 says that a claim is wrong.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from chimera.files.artifacts import read_json
from chimera.interface.errors import InputError, guarded
from chimera.review import claims
from chimera.review.records import record_files

SECONDS = 240.0  # after which no further checkpoint is evaluated


def evaluate_anew(kept: claims.Kept) -> claims.Claim:
    """Evaluate checkpoints of a study, in random order, in a clone with the study's lock."""
    params, faults = kept.params, []
    cells = [(m, r) for m in params["model_names"] for r in params["replicates"]]
    began, total = time.monotonic(), len(cells)
    random.Random(0).shuffle(cells)  # noqa: S311
    cache = Path(_run(Path(), "dvc", "cache", "dir").strip()).resolve()
    with TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        _run(Path(), "git", "clone", "--quiet", ".", str(clone))
        for name in ("params.yaml", "dvc.lock"):
            shutil.copyfile(kept.root / name, clone / name)
        if (local := Path(".dvc/config.local")).exists():
            shutil.copyfile(local, clone / local)
        _run(clone, "dvc", "cache", "dir", "--local", str(cache))
        fetch = "pull" if _run(clone, "dvc", "remote", "list") else "checkout"
        data = [f"data/{name}" for name in params["datasets"]]
        _run(clone, "dvc", fetch, "metrics/gates/verify/evaluation.yaml", *data)
        while cells and time.monotonic() - began < SECONDS:
            model, replicate = cells.pop()
            _run(clone, "dvc", fetch, f"checkpoints/{model}/{replicate}")
            stage = [sys.executable, "-m", "chimera.stages.evaluate"]
            _run(clone, *stage, "--model", model, "--replicate", str(replicate))
            found = read_json(clone / f"metrics/runs/{model}/{replicate}/evaluate.json")
            faults += claims.evaluation_faults(kept, model, replicate, found["model"])
    tried = f"{total - len(cells)} of {total}"
    return claims.Claim(f"{tried} checkpoints have the errors of metrics/errors.csv", faults)


def _run(folder: Path, *command: str) -> str:
    environment = os.environ | {"PYTHONPATH": str((folder / "src").resolve())}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise InputError(f"`{' '.join(command[:4])}` failed: {' '.join(reason)}")
    return done.stdout


def report(name: str, claim: claims.Claim) -> bool:
    """Print a claim and its faults, and return whether it holds."""
    mark = "FAIL" if claim.faults else "pass"
    print(f"{mark}  {name}: {claim.text}", *claim.faults, sep="\n      ")  # noqa: T201
    return not claim.faults


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="audit", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("record", nargs="?", type=Path, help="records/NAME; all without it")
    parser.add_argument("--deep", action="store_true", help="evaluate a study's checkpoints too")
    options = parser.parse_args(arguments)
    studies = [claims.Kept(options.record)] if options.record else claims.studies_below(Path())
    for study in studies:
        if study.root != Path():
            record_files(study.root)
    held = []
    for study in studies:
        name = "default run" if study.root == Path() else str(study.root)
        held += [report(name, claim) for claim in claims.study_claims(study)]
        if options.deep and study.root in (options.record, Path()):  # one study takes minutes
            held.append(report(name, evaluate_anew(study)))
    if not options.record:
        held += [report("repository", claim) for claim in claims.page_claims(Path(), studies)]
    wrong = held.count(False)
    print(f"{len(held)} claims, {wrong} wrong")  # noqa: T201
    sys.exit(wrong > 0)


if __name__ == "__main__":
    guarded(main)
