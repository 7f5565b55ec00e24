"""Keep the finished study of this work tree as records/NAME, small enough for git.

`python -m chimera.commands.record E1`: parameters, lock, metrics, errors per trajectory, manifests,
tables, figures, report, the preregistration as it stands, the tuning tables, what computed it, and
metadata for other tools: an RO-Crate of the run, Croissant and a card of its data. `--replace`
replaces one.
"""

import argparse
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from dvc.repo import Repo

from chimera.files import artifacts
from chimera.governance.logbook import git
from chimera.interface.errors import InputError, guarded
from chimera.metadata.packing import METADATA, metadata
from chimera.report.tables import runs_by_machine
from chimera.review.claims import Kept, study_claims
from chimera.review.records import record_files

RECORD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def provenance() -> dict[str, object]:
    """Return commit, checkpoints, and every class of bytes and versions with what it computed."""
    params = artifacts.read_params()
    folders = {
        f"{model} {replicate}": Path("checkpoints") / model / str(replicate)
        for model in params["model_names"]
        for replicate in params["replicates"]
    }
    records = {run: artifacts.read_yaml(path / "provenance.yaml") for run, path in folders.items()}
    weights = [folder / "model.safetensors" for folder in folders.values()]
    commit, date = git("log", "-1", "--format=%H %cs").decode().split()
    return {
        "commit": commit,
        "date": date,
        "version": artifacts.read_yaml(Path("CITATION.cff"))["version"],
        "checkpoints": {path.as_posix(): artifacts.sha256(path) for path in weights},
        "computed": [dict(of) | {"runs": runs} for of, runs in runs_by_machine(records).items()],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="record", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", help="such as E1")
    parser.add_argument("--replace", action="store_true", help="a record that exists")
    options = parser.parse_args(arguments)
    if not RECORD_NAME.fullmatch(options.name):
        raise InputError(f"NAME is {options.name!r}, expected letters, digits, '_', '.' and '-'")
    record = Path("records") / options.name
    if record.exists() and not options.replace:
        raise InputError(f"{record} exists, expected another name or --replace")
    files, about = record_files(Path()), {"name": options.name} | provenance()
    with artifacts.whole_folder(record) as fresh:
        for file in files:
            (fresh / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, fresh / file)
        with Repo() as repo:
            names = [stage.addressing for stage in repo.index.stages]
        lock = artifacts.read_yaml(Path("dvc.lock"))
        # Without stages that these parameters do not have: DVC never removes one.
        lock["stages"] = {n: entry for n, entry in lock["stages"].items() if n in names}
        artifacts.write_yaml(fresh / "dvc.lock", lock)
        artifacts.write_yaml(fresh / "provenance.yaml", about)
        for path, content in metadata(fresh).items():
            artifacts.write_text(fresh / path, content)
        wrong = [fault for claim in study_claims(Kept(fresh)) for fault in claim.faults]
        if wrong:
            raise InputError(f"`make audit` finds {len(wrong)} faults, expected none: {wrong[0]}")
    size = sum(file.stat().st_size for file in record.rglob("*") if file.is_file())
    stands = artifacts.read_json(Path("metrics/stats.json"))["standing"]
    print(f"{record}: {len(files) + 1 + len(METADATA)} files, {size / 1e6:.2f} MB, {stands}")  # noqa: T201


if __name__ == "__main__":
    guarded(main)
