"""Files are written whole or not at all, and read back or refused in one sentence."""

import errno
import hashlib
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chimera.files import artifacts
from chimera.interface.errors import InputError

ENDED = (1 << 22) + 1  # above the largest number of a process

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from chimera.files.artifacts import write_bytes
from chimera.interface.errors import InputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_bytes(Path(sys.argv[1]), b"x" * 5000)
except InputError as error:
    print(error)
"""


def test_a_crash_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    artifacts.write_text(path, "old")

    def crash():
        with artifacts.whole_file(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        crash()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    path = tmp_path / "file"
    artifacts.write_text(path, "old")

    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(InputError, match=r"^cannot write .*file: No space left on device"):
        artifacts.write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_real_limit_on_the_size_of_files_is_one_sentence(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    printed = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True
    ).stdout
    assert printed.startswith(f"cannot write {path}: File too large")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_a_file_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(InputError, match=r"^cannot write .*file/inner: "):
        artifacts.write_text(tmp_path / "file/inner", "new")
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_json_holds_finite_numbers_alone(tmp_path, value):
    path = tmp_path / "metrics.json"
    with pytest.raises(InputError, match=r"unet\.ind\[1\] is (nan|inf)"):
        artifacts.write_json(path, {"unet": {"ind": [0.0, value]}})
    assert not path.exists()


def test_round_trips(tmp_path):
    content = {"b": {"x": 0.1, "n": 3}, "a": "text"}
    artifacts.write_json(tmp_path / "f.json", content)
    assert artifacts.read_json(tmp_path / "f.json") == content
    artifacts.write_yaml(tmp_path / "f.yaml", content)
    assert artifacts.read_yaml(tmp_path / "f.yaml") == content
    artifacts.write_csv(tmp_path / "f.csv", [{"model": "unet", "nrmse": 1 / 3, "step": 4}])
    assert artifacts.read_csv(tmp_path / "f.csv") == [
        {"model": "unet", "nrmse": "0.333333333", "step": "4"}
    ]
    awkward = [{"note": 'a "quoted", comma'}, {"note": "two\r\nlines"}, {"note": ""}]
    artifacts.write_csv(tmp_path / "f.csv", awkward)
    assert artifacts.read_csv(tmp_path / "f.csv") == awkward


def test_sha256_is_hashlib_s_and_counts_every_byte(tmp_path):
    path, content = tmp_path / "file", os.urandom(3_000_001)
    path.write_bytes(content)
    counted = []
    assert artifacts.sha256(path, counted.append) == hashlib.sha256(content).hexdigest()
    assert sum(counted) == len(content)


def test_missing_files_are_one_sentence(tmp_path):
    readers = (
        artifacts.read_json,
        artifacts.read_yaml,
        artifacts.read_csv,
        artifacts.sha256,
    )
    for read in readers:
        with pytest.raises(InputError, match=r"^cannot read .*absent.*: [Nn]o such file"):
            read(tmp_path / "absent")
    with pytest.raises(InputError, match=r"absent does not exist in /.*, expected a study's param"):
        artifacts.read_params(tmp_path / "absent")


def test_broken_files_are_one_sentence(tmp_path):
    path = tmp_path / "broken"
    path.write_text("{1: [")
    with pytest.raises(InputError, match=r"^\S*broken is not YAML"):
        artifacts.read_yaml(path)
    path.write_text("day: 2026-13-45")
    with pytest.raises(InputError, match=r"^\S*broken is not YAML: month must be in"):
        artifacts.read_yaml(path)
    with pytest.raises(InputError, match=r"^\S*broken is not JSON"):
        artifacts.read_json(path)
    path.write_bytes(b"model,nrmse\n\xff\xfe,1\n")
    with pytest.raises(InputError, match=r"^\S*broken is not UTF-8: .*0xff"):
        artifacts.read_csv(path)
    for cut, found in (("1,2\n3\n", 1), ("1,2\n3,4,5\n", 3)):
        path.write_text(f"model,nrmse\n{cut}")
        words = rf"broken: line 3 has {found} values, expected 2 as the header has"
        with pytest.raises(InputError, match=words):
            artifacts.read_csv(path)
    path.write_text("- a list")
    with pytest.raises(InputError, match=r"^\S*broken holds \['a list'\], expected a mapping"):
        artifacts.read_params(path)


def test_a_key_that_is_there_twice_names_file_key_and_lines(tmp_path):
    path = tmp_path / "params.yaml"
    for text, words in (
        ("seed: 0\na: 1\nseed: 5\n", "the key seed is in line 1 and in line 3"),
        ('seed: 0\n"seed": 5\n', "the key seed is in line 1 and in line 2"),
        ("a: {b: {c: 1, c: 1}}\n", "the key c is in line 1 and in line 1"),
        ("- 1: 0\n  1: 0\n", "the key 1 is in line 1 and in line 2"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=rf"params\.yaml is not YAML: {words}$"):
            artifacts.read_yaml(path)
    # A key that replaces a merged one, of a mapping that is merged itself before it is built.
    path.write_text("a: {b: &a {k: 0, l: 2}}\nc: {d: &b {<<: *a, k: 1}}\ne: {<<: *b, k: 3}\n")
    found = artifacts.read_yaml(path)
    assert found["c"]["d"] == {"k": 1, "l": 2}
    assert found["e"] == {"k": 3, "l": 2}


def test_what_a_killed_process_left_is_swept_from_scratch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    partial = tmp_path / ".scratch/partial"
    (partial / f".0.folder.{ENDED}/inner").mkdir(parents=True)
    (partial / f".1.file.{ENDED}").mkdir()
    (partial / f".0.other.{os.getppid()}").touch()  # of a process that is running
    artifacts.write_text(Path("metrics/file"), "new")
    assert [p.name for p in partial.iterdir()] == [f".0.other.{os.getppid()}"]
    assert [p.name for p in (tmp_path / "metrics").iterdir()] == ["file"]


def test_nothing_temporary_lies_beside_a_file_of_the_work_tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with artifacts.whole_folder(Path("data/set")) as fresh:
        (fresh / "a").write_text("a")
        with artifacts.whole_file(Path("data/file")) as temporary:
            temporary.write_text("b")
            assert list((tmp_path / "data").iterdir()) == []
    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == ["file", "set"]


MISSING = {"json": '{"a": {"b": 1}}', "yaml": "a: {b: 1}"}


@pytest.mark.parametrize("form", MISSING)
def test_a_missing_key_names_the_file_and_the_key(tmp_path, form):
    path = tmp_path / f"file.{form}"
    path.write_text(MISSING[form])
    content = getattr(artifacts, f"read_{form}")(path)
    assert content == {"a": {"b": 1}}
    with pytest.raises(InputError, match=rf"^\S*file\.{form} has no 'c' among b$"):
        content["a"]["c"]
    artifacts.write_yaml(tmp_path / "again.yaml", content)
    assert artifacts.read_yaml(tmp_path / "again.yaml") == content


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_json_that_is_read_is_finite(tmp_path, constant):
    (tmp_path / "f.json").write_text(f'{{"a": {constant}}}')
    with pytest.raises(
        InputError, match=rf"f\.json is not JSON: it has {constant}, expected finite"
    ):
        artifacts.read_json(tmp_path / "f.json")


@pytest.mark.parametrize("read", ["json", "yaml"])
def test_brackets_without_end_are_one_sentence(tmp_path, read):
    (tmp_path / "f").write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"f is not (JSON|YAML)"):
        getattr(artifacts, f"read_{read}")(tmp_path / "f")


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "dataset"
    with artifacts.whole_folder(path) as fresh:
        (fresh / "data").mkdir()
        (fresh / "data/a").write_text("old")

    def crash():
        with artifacts.whole_folder(path) as fresh:
            (fresh / "b").write_text("half")
            raise InputError("broken")

    with pytest.raises(InputError, match="broken"):
        crash()
    assert [p.name for p in tmp_path.iterdir()] == ["dataset"]
    assert (path / "data/a").read_text() == "old"
    (tmp_path / f".0.dataset.{ENDED}").mkdir()  # of a run that was killed
    with artifacts.whole_folder(path) as fresh:
        (fresh / "b").write_text("new")
    assert [p.name for p in path.iterdir()] == ["b"]
    assert [p.name for p in tmp_path.iterdir()] == ["dataset"]
