"""Training runs that can be interrupted and followed.

DVC removes a stage's outputs before it runs, so a run keeps its state in .scratch/<stage key>/
<fingerprint of parameters, code and data>/: a state is resumed only under the conditions under
which it was saved. The folder holds `state`, a sha256 and the safetensors file of which it is, and
`history.csv`, the rows so far, which can be read at any time because files are replaced whole.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from chimera.files.artifacts import locked, read_bytes, write_bytes, write_csv
from chimera.files.tensors import format_tensors, parse_tensors
from chimera.interface.progress import Progress, announce
from chimera.training.loop import Training

_DIGEST = hashlib.sha256().digest_size


def fingerprint(settings: Mapping[str, object], files: Mapping[str, str]) -> str:
    """Return a digest of settings, files' hashes and loaded code; `interface` decides no output."""
    digest = hashlib.sha256(json.dumps([settings, files], sort_keys=True).encode())
    for name, module in sorted(sys.modules.items()):
        decides = name.startswith("chimera.") and not name.startswith("chimera.interface")
        if decides and module.__file__:
            digest.update(name.encode() + Path(module.__file__).read_bytes())
    return digest.hexdigest()


@contextmanager
def scratch_folder(root: Path, key: str, fingerprint: str) -> Iterator[Path]:
    """Yield this run's folder, locked; remove it when the block ends without an error.

    The lock makes a second process wait for one that survived the end of its DVC. Folders of other
    fingerprints belong to abandoned runs and are removed. `key` is the name of the run.
    """
    home = root / key
    home.mkdir(parents=True, exist_ok=True)
    with locked(home / "lock"):
        for other in home.iterdir():
            if other.is_dir() and other.name != fingerprint:
                shutil.rmtree(other)
        folder = home / fingerprint
        folder.mkdir(exist_ok=True)
        yield folder
        shutil.rmtree(folder)


def run_resumable(training: Training, label: str, folder: Path) -> None:
    """Run all steps, from the state in the folder if there is one.

    Every process of a group calls this; rank 0 writes and reports. InputError if training diverges.
    """
    group, settings = training.group, training.settings
    is_first = group.rank == 0
    state, history = folder / "state", folder / "history.csv"
    group.wait()  # until rank 0 has locked the folder
    if state.exists():
        digest, content = (saved := read_bytes(state))[:_DIGEST], saved[_DIGEST:]
        if hashlib.sha256(content).digest() == digest:
            training.restore(*parse_tensors(content, str(state)))
        elif is_first:
            announce(f"{label}: {state} was changed since it was saved: it is discarded")
    group.wait()  # until all have read the same state
    with Progress(
        label, settings.steps, training.completed, samples=settings.batch_size, shown=is_first
    ) as progress:
        if not training.finished:
            progress.say(f"the history so far is in {history}")
        note = ""
        while not training.finished:
            training.advance()
            group.require_launcher()
            if training.history:
                row = training.history[-1]
                note = f"loss {row.train_loss:.3g}, valid nRMSE {row.valid_nrmse:.3g}"
                if is_first and row.step == training.completed:
                    write_csv(history, [asdict(row) for row in training.history])
            progress.show(training.completed, note)
            if training.completed % settings.save_every == 0 or training.finished:
                tensors, values = training.state()  # in every process
                if is_first:
                    content = format_tensors(tensors, values)
                    write_bytes(state, hashlib.sha256(content).digest() + content)
