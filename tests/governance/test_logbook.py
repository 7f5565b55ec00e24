"""Logs grow at the end, and nothing that stood there changes."""

import subprocess
import sys
from pathlib import Path

import pytest

from chimera.governance.logbook import (
    append_entry,
    entries,
    named_keys,
    require_appended,
)
from chimera.interface.errors import InputError

LOG = Path("Deviation_Log.md")


def git(*arguments):
    settings = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *settings, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Return a repository whose main branch holds a log with one entry."""
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet", "--initial-branch", "main")
    LOG.write_text("# Deviation log\n")
    append_entry(LOG, "first", {"date": "2026-01-01", "key": "train.steps", "reason": "r"})
    git("add", ".")
    git("commit", "--quiet", "--message", "log")
    git("checkout", "--quiet", "-b", "work")
    return tmp_path


def test_entries_are_numbered_and_named(repository):
    before = LOG.read_bytes()
    assert append_entry(LOG, "second", {"date": "2026-01-02", "key": "seed", "reason": "x"}) == 2
    assert LOG.read_bytes().startswith(before)
    assert LOG.read_text().endswith(
        "\n\n## 2. second\n- date: 2026-01-02\n- key: seed\n- reason: x\n"
    )
    assert named_keys(LOG.read_text()) == {"train.steps", "seed"}
    assert entries(LOG.read_text()) == [
        {"title": "first", "date": "2026-01-01", "key": "train.steps", "reason": "r"},
        {"title": "second", "date": "2026-01-02", "key": "seed", "reason": "x"},
    ]
    require_appended(LOG, "main")


def test_entries_by_hand_are_read_alike_by_the_gate_and_the_report():
    """With blank lines, prose and fields of several lines, which the command does not write."""
    text = (
        "# Log\n\n## 1. by hand\n\n- date: d\n  of it\n\n- key: seed\n- reason: r\n\n"
        "## 2. empty\n\n## 3. c\nProse.\n- key: b\n### part\n- reason: x"
    )
    assert entries(text) == [
        {"title": "by hand", "date": "d", "key": "seed", "reason": "r"},
        {"title": "empty"},
        {"title": "c", "key": "b", "reason": "x"},
    ]
    assert named_keys(text) == {"seed", "b"}


APPEND = """
import sys
from pathlib import Path
from chimera.governance.logbook import append_entry
append_entry(Path("Deviation_Log.md"), f"entry {sys.argv[1]}", {"reason": "r"})
"""


def test_twelve_entries_at_once_are_twelve(repository):
    started = [subprocess.Popen([sys.executable, "-c", APPEND, str(n)]) for n in range(12)]
    assert [process.wait() for process in started] == [0] * 12
    titles = [entry["title"] for entry in entries(LOG.read_text())]
    assert titles[0] == "first"
    assert sorted(titles[1:]) == sorted(f"entry {n}" for n in range(12))
    numbers = [line.split()[1] for line in LOG.read_text().splitlines() if line.startswith("## ")]
    assert numbers == [f"{n}." for n in range(1, 14)]


def test_an_edit_or_a_cut_names_the_line(repository):
    whole = LOG.read_text()
    for changed, line in (
        (whole.replace("- reason: r", "- reason: s"), 6),
        (whole.replace("# Deviation log\n", ""), 1),
        (whole[:-20], 5),
    ):
        LOG.write_text(changed)
        with pytest.raises(
            InputError, match=rf"Deviation_Log\.md was edited or cut at line {line}"
        ):
            require_appended(LOG, "main")


def test_a_missing_or_new_log_and_an_unknown_base(repository):
    new = Path("Decision_Log.md")
    new.write_text("# new\n")
    require_appended(new, "main")
    with pytest.raises(InputError, match="git merge-base nowhere HEAD failed"):
        require_appended(LOG, "nowhere")
    LOG.unlink()
    with pytest.raises(InputError, match=r"^cannot read Deviation_Log"):
        require_appended(LOG, "main")


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines"])
def test_a_field_is_one_line(repository, reason):
    before = LOG.read_bytes()
    with pytest.raises(InputError, match=r"reason is .*, expected one line"):
        append_entry(LOG, "title", {"reason": reason})
    assert LOG.read_bytes() == before
