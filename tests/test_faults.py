"""A part of `make faults` that takes seconds: entries of a log, and the aggregate."""

import shutil
import sys

import pytest

from workspaces import ROOT

sys.path.append(str(ROOT / "benchmarks"))

import faults


@pytest.mark.parametrize(("subject", "every", "least"), [("log", 1, 10), ("aggregate", 25, 150)])
def test_a_failing_file_operation_is_success_or_a_sentence_and_mends(
    finished, tmp_path, subject, every, least
):
    workspace = tmp_path / "work"
    shutil.copytree(finished, workspace, ignore=shutil.ignore_patterns("cache"))
    total, tried, wrong = faults.search(workspace, faults.content(workspace), subject, every)
    assert wrong == []
    assert total >= least
    assert tried >= 2 * total // every


def test_the_loop_sees_a_fault_that_is_not_mended(finished, tmp_path, monkeypatch):
    """A stage that writes in place is cut by a kill, and one that hides a full disk lies."""
    from chimera.governance import logbook

    def in_place(path, title, fields):
        content = path.read_text()
        try:
            with path.open("w") as file:
                file.write(f"{content}\n## 99. {title}\n- key: {fields['key']}\n")
        except OSError:
            return 0
        return 99

    monkeypatch.setattr(logbook, "append_entry", in_place)
    workspace = tmp_path / "work"
    shutil.copytree(finished, workspace, ignore=shutil.ignore_patterns("cache"))
    _, _, wrong = faults.search(workspace, faults.content(workspace), "log")
    seen = " ".join(wrong)
    assert "kill" in seen
    assert "success with other outputs" in seen
    assert "is neither what was there nor what belongs there" in seen
