"""A dvc.lock that was cut is put back, and a rotten object of the cache is found."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import yaml

from chimera.commands.intact import read_lock, rotten
from chimera.interface.errors import InputError
from workspaces import call, command, sentence

ROOT = Path(__file__).parents[2]


@pytest.fixture
def lock(tmp_path, monkeypatch):
    """Return a whole dvc.lock of two stages in an empty work tree."""
    monkeypatch.chdir(tmp_path)
    stages = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
    kept = {name: stages[name] for name in ("validate", "verify")}
    content = yaml.safe_dump({"schema": "2.0", "stages": kept}, sort_keys=False)
    Path("dvc.lock").write_text(content)
    return content


def test_a_whole_lock_is_kept_and_stays(lock, capsys):
    assert list(read_lock()) == ["validate", "verify"]
    assert Path("dvc.lock").read_text() == Path(".scratch/dvc.lock").read_text() == lock
    assert capsys.readouterr().out == ""


def test_a_lock_that_is_cut_anywhere_is_the_last_whole_one_again_or_can_be_read(lock, capsys):
    read_lock()
    boundaries = [place + 1 for place, letter in enumerate(lock) if letter == "\n"]
    for place in [0, 5, 20, *range(40, len(lock) - 1, 397), *boundaries[:-1:31]]:
        Path("dvc.lock").write_text(lock[:place])
        found = read_lock()
        said = capsys.readouterr().out
        assert said or lock[place - 1] == "\n"
        if said:
            assert said == "dvc.lock was cut in two, and is again the last whole one\n"
            assert Path("dvc.lock").read_text() == lock
        else:  # DVC reads it, and what is missing runs again, out of the run cache
            assert list(found) == ["validate", "verify"][: len(found)]
            assert Path("dvc.lock").read_text() == lock[:place]
        Path(".scratch/dvc.lock").write_text(lock)


def test_a_cut_lock_without_a_kept_one_is_one_sentence(lock):
    Path("dvc.lock").write_text(lock[:50])
    with pytest.raises(InputError, match=r"^dvc\.lock is cut in two.*git checkout dvc\.lock"):
        read_lock()


def test_no_lock_is_no_stage(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_lock() == {}


def put(cache, content, suffix=""):
    """Add an object to a cache; return its md5 as dvc.lock has it, and its path."""
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    path = cache / md5[:2] / f"{md5[2:]}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return md5 + suffix, path


def test_a_rotten_object_is_found_before_it_is_believed(tmp_path):
    weights, file = put(tmp_path, b"weights")
    listing, folder = put(
        tmp_path, json.dumps([{"md5": weights, "relpath": "model"}]).encode(), ".dir"
    )
    report, single = put(tmp_path, b"{}")
    other, unread = put(tmp_path, b"figure")
    stages = {
        "train": {"outs": [{"path": "checkpoints/unet/0", "md5": listing}]},
        "evaluate": {"outs": [{"path": "metrics/runs/unet/0/evaluate.json", "md5": report}]},
        "figures": {"outs": [{"path": "plots/svg", "md5": other}]},
        "probe": {"outs": [{"path": "metrics/runs/unet/0/ib.json", "md5": "0" * 32}]},  # no object
        "validate": {},
    }
    assert list(rotten(stages, tmp_path)) == []
    for path, name in (
        (file, "checkpoints/unet/0/model"),
        (folder, "checkpoints/unet/0"),
        (single, "metrics/runs/unet/0/evaluate.json"),
    ):
        whole = path.read_bytes()
        path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        (found,) = rotten(stages, tmp_path)
        assert found.startswith(f"{path} ({name}) was changed: its md5 is ")
        path.write_bytes(whole)
    unread.write_bytes(b"other")
    assert list(rotten(stages, tmp_path)) == []


def test_a_cut_lock_reruns_nothing_and_a_rotten_checkpoint_is_named(finished, tmp_path):
    """The kept lock is older than the cut one: what finished since is in DVC's run cache."""
    workspace = tmp_path / "chimera"
    shutil.copytree(finished, workspace, symlinks=True)
    lock, kept = workspace / "dvc.lock", workspace / ".scratch/dvc.lock"
    whole = lock.read_bytes()
    older = yaml.safe_load(whole)
    del older["stages"]["train@unet-0"], older["stages"]["probe@rome-unet-0"]
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(yaml.safe_dump(older, sort_keys=False))
    # Cut within a key, which no reader takes for the end of a file.
    lock.write_bytes(whole[: whole.index(b"md5:", len(whole) // 2) + 2])
    assert "was cut in two, and is again the last whole one" in command(workspace, "intact")
    printed = call(workspace, "dvc", "repro")
    assert "Running stage" not in printed
    assert yaml.safe_load(lock.read_text()) == yaml.safe_load(whole)
    listing = yaml.safe_load(whole)["stages"]["train@unet-0"]["outs"][0]["md5"]
    item = workspace / ".dvc/cache/files/md5" / listing[:2] / listing[2:]
    item.chmod(0o644)
    item.write_bytes(item.read_bytes() + b" ")
    assert f"{listing[2:]} (checkpoints/unet/0) was changed" in sentence(
        command(workspace, "intact", expect=2)
    )
