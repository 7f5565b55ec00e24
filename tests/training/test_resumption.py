"""What a killed run leaves is found again by the very same run, and can be read meanwhile."""

import csv
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from test_training import same, training

from chimera.training.resumption import fingerprint, run_resumable, scratch_folder

HOLD = """
import sys, time
from pathlib import Path
from chimera.training.resumption import scratch_folder
with scratch_folder(Path(sys.argv[1]), "run", "f") as folder:
    (folder / "held").touch()
    time.sleep(1.0)
    (folder / "done").touch()
    raise SystemExit
"""


def rows(folder):
    """Return the history that lies in a folder, as text."""
    return list(csv.DictReader((folder / "history.csv").read_text().splitlines()))


def test_history_is_readable_while_training_runs(tmp_path, capsys):
    one, seen = training(), []
    advance = one.advance

    def watch():
        if (tmp_path / "history.csv").exists():
            seen.append([row["step"] for row in rows(tmp_path)])
        advance()

    one.advance = watch
    run_resumable(one, "train", tmp_path)
    # Lines at steps 5, 10 and 12 of 12: read before steps 6 .. 10, and before 11 and 12.
    assert seen == [["5"]] * 5 + [["5", "10"]] * 2
    assert [row["step"] for row in rows(tmp_path)] == ["5", "10", "12"]
    assert float(rows(tmp_path)[-1]["train_loss"]) > 0
    assert f"train: the history so far is in {tmp_path}/history.csv" in capsys.readouterr().err


def test_a_run_goes_on_from_what_lies_in_its_folder(tmp_path):
    whole = training()
    run_resumable(whole, "train", tmp_path / "whole")
    killed = training()
    advance, left = killed.advance, iter(range(4))

    def interrupted():
        if next(left, None) is None:
            raise KeyboardInterrupt
        advance()

    killed.advance = interrupted
    with pytest.raises(KeyboardInterrupt):
        run_resumable(killed, "train", tmp_path / "killed")
    resumed = training(seed=99)
    resumed.train = killed.train
    run_resumable(resumed, "train", tmp_path / "killed")
    same(resumed, whole)


def test_a_changed_bit_discards_the_state_and_the_run_ends_the_same(tmp_path, capsys, monkeypatch):
    whole = training()
    run_resumable(whole, "train", tmp_path / "whole")
    saved = (tmp_path / "whole/state").read_bytes()
    generator, again = np.random.default_rng(0), training()

    def flip(place):
        changed = bytearray(saved)
        changed[place] ^= 1 << generator.integers(8)
        folder = tmp_path / str(place)
        folder.mkdir()
        (folder / "state").write_bytes(changed)
        return folder

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(again, "advance", stop)  # the first step of a run that restored nothing
        patch.setattr(again, "restore", None)
        for place in generator.choice(len(saved), 400, replace=False):
            folder = flip(place)
            with pytest.raises(KeyboardInterrupt):
                run_resumable(again, "train", folder)
            assert f"{folder}/state was changed since it was saved" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "0", ignore_errors=True)
    run_resumable(again, "train", flip(0))
    same(again, whole)


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
    changed = tmp_path / "changed.py"
    changed.write_text("# another source")
    for name, decides in (("chimera.interface.errors", False), ("chimera.training.loop", True)):
        with monkeypatch.context() as context:
            context.setattr(sys.modules[name], "__file__", str(changed))
            assert (fingerprint({"lr": 1e-3}, {"a": "0"}) != base) == decides, name
