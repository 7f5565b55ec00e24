"""A place where a killed run left its state, found again only by the very same run.

DVC removes a stage's outputs before it runs, so what a run needs to resume lies elsewhere:
.scratch/<stage key>/<fingerprint of parameters, code and data>/. Any change of these changes the
fingerprint, so that a state is never resumed under other conditions than it was saved under.
"""

import fcntl
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


def fingerprint(settings: Mapping[str, object], files: Mapping[str, str]) -> str:
    """Return a digest of the settings, the files' hashes and the source of every loaded module.

    Args:
        settings: Plain values (what JSON can hold).
        files: sha256 by path.
    """
    digest = hashlib.sha256(json.dumps([settings, files], sort_keys=True).encode())
    for name, module in sorted(sys.modules.items()):
        if name.partition(".")[0] == "chimera" and module.__file__:
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
