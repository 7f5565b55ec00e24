"""A training run that can be killed and watched.

DVC removes a stage's outputs before it runs, so what a run needs to resume lies elsewhere:
.scratch/<stage key>/<fingerprint of parameters, code and data>/. Any change of these changes the
fingerprint, so that a state is never resumed under other conditions than it was saved under. The
folder holds `state.safetensors`, from which the next run goes on, and `history.csv`, the lines so
far, which a person may read at any time: files are replaced whole.
"""

import fcntl
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from chimera.files.artifacts import write_csv
from chimera.files.tensors import read_tensors, write_tensors
from chimera.interface.progress import Progress
from chimera.training.loop import Training, run


def fingerprint(settings: Mapping[str, object], files: Mapping[str, str]) -> str:
    """Return a digest of the settings, the files' hashes and the source of every loaded module.

    chimera.interface decides no byte and is left out.

    Args:
        settings: Plain values (what JSON can hold).
        files: sha256 by path.
    """
    digest = hashlib.sha256(json.dumps([settings, files], sort_keys=True).encode())
    for name, module in sorted(sys.modules.items()):
        decides = name.startswith("chimera.") and not name.startswith("chimera.interface")
        if decides and module.__file__:
            digest.update(name.encode() + Path(module.__file__).read_bytes())
    return digest.hexdigest()


@contextmanager
def scratch_folder(root: Path, key: str, fingerprint: str) -> Iterator[Path]:
    """Yield this run's own folder, locked; remove it when the block ends without an error.

    If DVC alone was killed, its child still works on the same run; a second process waits for it
    here rather than write beside it. Folders of other fingerprints are left from runs that were
    given up, and are removed.

    Args:
        root: Ignored by git and by DVC.
        key: Names the run, such as train-unet-0.
        fingerprint: See `fingerprint`.
    """
    home = root / key
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for other in home.iterdir():
            if other.is_dir() and other.name != fingerprint:
                shutil.rmtree(other)
        folder = home / fingerprint
        folder.mkdir(exist_ok=True)
        yield folder
        shutil.rmtree(folder)


def run_resumable(training: Training, label: str, folder: Path) -> None:
    """Go on from the state in the folder, if there is one, to the last step.

    In a group every process takes part, rank 0 writes and reports.

    Args:
        training: As it is before its first step.
        label: What progress calls the run.
        folder: Of this very run, see `scratch_folder`.

    Raises:
        InputError: If the training diverges, or the folder cannot be written.
    """
    group, settings = training.group, training.settings
    state, history = folder / "state.safetensors", folder / "history.csv"
    group.wait()  # until rank 0 has the folder to itself
    if state.exists():
        training.restore(*read_tensors(state))
    group.wait()  # until all have read the same
    with Progress(
        label,
        settings.steps,
        training.completed,
        samples=settings.batch_size,
        shown=group.rank == 0,
    ) as progress:

        def save(training: Training) -> None:
            content = training.state()
            if group.rank == 0:
                write_tensors(state, *content)

        def report(training: Training) -> None:
            group.require_launcher()
            progress.show(training.completed, training.note())

        def record(training: Training) -> None:
            if group.rank == 0:
                write_csv(history, [asdict(row) for row in training.history])

        if settings.steps > training.completed:
            progress.say(f"the history so far is in {history}")
        run(training, save, report, record)
