"""Resumption of a training run that was killed.

DVC removes a stage's outputs before it runs, so the state of a run is saved elsewhere, in
.scratch/<stage key>/<fingerprint of parameters, code and data>/: it is never resumed under other
conditions. The folder contains `state.safetensors`, from which the next run continues, and
`history.csv`, which can be read at any time.
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

    `settings` are plain values; chimera.interface, which changes no output, is left out.
    """
    digest = hashlib.sha256(json.dumps([settings, files], sort_keys=True).encode())
    for name, module in sorted(sys.modules.items()):
        decides = name.startswith("chimera.") and not name.startswith("chimera.interface")
        if decides and module.__file__:
            digest.update(name.encode() + Path(module.__file__).read_bytes())
    return digest.hexdigest()


@contextmanager
def scratch_folder(root: Path, key: str, fingerprint: str) -> Iterator[Path]:
    """Yield the folder root/key/fingerprint, locked; remove it after a block without an error.

    If only DVC was killed, its child process continues the run, and a second process waits for it
    here. Folders of other fingerprints, left by abandoned runs, are removed.
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
    """Train from the state in the run's `scratch_folder`, if there is one, to the last step.

    Every process of a group calls it; rank 0 writes and reports progress under `label`.
    """
    group, settings = training.group, training.settings
    state, history = folder / "state.safetensors", folder / "history.csv"
    group.wait()  # until rank 0 has the folder to itself
    if state.exists():
        training.restore(*read_tensors(state))
    group.wait()  # until all have read the same
    writes, samples = group.rank == 0, settings.batch_size
    progress = Progress(label, settings.steps, training.completed, samples=samples, shown=writes)
    with progress:

        def save(training: Training) -> None:
            content = training.state()
            if writes:
                write_tensors(state, *content)

        def report(training: Training) -> None:
            group.require_launcher()
            progress.show(training.completed, training.note())
            if writes and training.has_new_row:
                write_csv(history, [asdict(row) for row in training.history])

        if settings.steps > training.completed:
            progress.say(f"the history so far is in {history}")
        run(training, save, report)
