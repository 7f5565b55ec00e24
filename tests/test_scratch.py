"""What a killed run leaves is found again by the very same run, and by no other."""

import subprocess
import sys
import time

import pytest

from chimera.scratch import fingerprint, scratch_folder

HOLD = """
import sys, time
from pathlib import Path
from chimera.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1]), "run", "f") as folder:
    (folder / "held").touch()
    time.sleep(1.0)
    (folder / "done").touch()
    raise SystemExit
"""


def test_a_state_outlives_an_error_and_goes_with_success(tmp_path):
    def fail():
        with scratch_folder(tmp_path, "run", "f") as folder:
            (folder / "state").touch()
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        fail()
    with scratch_folder(tmp_path, "run", "f") as folder:
        assert (folder / "state").exists()
    assert not folder.exists()


def test_another_fingerprint_starts_afresh(tmp_path):
    stale = tmp_path / "run/old"
    stale.mkdir(parents=True)
    elsewhere = tmp_path / "other/old"
    elsewhere.mkdir(parents=True)
    with scratch_folder(tmp_path, "run", "new") as folder:
        assert list(folder.iterdir()) == []
        assert not stale.exists()
    assert elsewhere.exists()


def test_a_second_process_waits(tmp_path):
    held = tmp_path / "run/f/held"
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)])
    while not held.exists():
        assert process.poll() is None
        time.sleep(0.01)
    with scratch_folder(tmp_path, "run", "f") as folder:
        assert (folder / "done").exists()
    assert process.wait() == 0


def test_fingerprint_is_of_settings_files_and_code(tmp_path, monkeypatch):
    base = fingerprint({"lr": 1e-3}, {"a": "0"})
    assert base == fingerprint({"lr": 1e-3}, {"a": "0"})
    assert base != fingerprint({"lr": 1e-2}, {"a": "0"})
    assert base != fingerprint({"lr": 1e-3}, {"a": "1"})
    changed = tmp_path / "errors.py"
    changed.write_text("# another source")
    monkeypatch.setattr(sys.modules["chimera.errors"], "__file__", str(changed))
    assert base != fingerprint({"lr": 1e-3}, {"a": "0"})
