"""Check that what finished stages wrote is as they wrote it: dvc.lock, data, and DVC's cache.

DVC writes dvc.lock in place, so that a kill can cut it in two; then the last whole one, which this
command keeps in .scratch, is put back, and DVC's run cache has what finished since. Objects of the
cache are checkpoints and the results of runs, which DVC would not read again before it uses them.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from tqdm import tqdm
from voluptuous import Invalid

from chimera.data import verification
from chimera.files import artifacts
from chimera.interface.errors import InputError, guarded

LOCK = Path("dvc.lock")
RESULTS = ("checkpoints/", "metrics/runs/")


def read_lock(lock: Path = LOCK, kept: Path = artifacts.SCRATCH / LOCK) -> dict[str, Any]:
    """Return the stages of dvc.lock, kept or, if cut, put back; InputError if none was kept."""
    if not lock.exists():
        return {}
    try:
        stages: dict[str, Any] = COMPILED_LOCKFILE_SCHEMA(artifacts.read_yaml(lock))["stages"]
        whole = artifacts.read_bytes(lock).endswith(b"\n")
    except (InputError, Invalid):
        whole = False
    if not whole:
        if not kept.exists():
            raise InputError(f"{lock} is cut in two, expected it whole: run `git checkout {lock}`")
        artifacts.write_bytes(lock, artifacts.read_bytes(kept))
        stages = artifacts.read_yaml(lock)["stages"]
        print(f"{lock} was cut in two, and is again the last whole one")  # noqa: T201
    artifacts.write_bytes(kept, artifacts.read_bytes(lock))
    return stages


def rotten(stages: dict[str, Any], cache: Path) -> Iterator[str]:
    """Yield a sentence for every object of a result that has other bytes than its name says."""
    outs = [out for stage in stages.values() for out in stage.get("outs", ())]
    listed = {out["path"]: out["md5"] for out in outs if out["path"].startswith(RESULTS)}
    while listed:
        path, md5 = listed.popitem()
        digest, _, is_folder = md5.partition(".")
        item = cache / md5[:2] / md5[2:]
        if not item.exists():
            continue
        found = hashlib.md5(artifacts.read_bytes(item), usedforsecurity=False).hexdigest()
        if found != digest:
            yield f"{item} ({path}) was changed: its md5 is {found}, remove it and run `dvc repro`"
        elif is_folder:
            for file in artifacts.read_json(item):
                listed[f"{path}/{file['relpath']}"] = file["md5"]


def main() -> None:
    """Run the command."""
    stages, datasets = read_lock(), artifacts.read_params()["datasets"]
    total = verification.stored_bytes(datasets)
    with tqdm(total=total, desc="intact", unit="B", unit_scale=True, disable=None) as bar:
        found = [v for name in datasets for v in verification.check_intact(name, bar.update)]
    verification.require_verified(v for v in found if v.verdict == "mismatched")
    if fault := next(rotten(stages, Path(Repo().cache.local.path)), None):
        raise InputError(fault)


if __name__ == "__main__":
    guarded(main)
