"""A part of `make faults` that takes seconds, and processes that are killed from outside."""

import multiprocessing
import shutil
import sys
import threading
from contextlib import contextmanager

import pytest

from chimera.data.settings import read_data
from chimera.data.sources.generation import AT_ONCE, generate, regime_of
from chimera.files.artifacts import read_params
from chimera.interface.errors import InputError
from workspaces import ROOT, sentence, stage

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


@contextmanager
def killing_a_child():
    """Kill, as the kernel does where memory ends, one of two processes that this one starts."""
    ended = threading.Event()

    def kill():
        while not ended.wait(0.1):
            if len(children := multiprocessing.active_children()) == 2:
                children[0].kill()
                ended.set()

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        was_killed = ended.is_set()
        ended.set()
        thread.join()
        assert was_killed


def test_a_killed_process_that_draws_is_a_sentence_and_no_picture_changes(finished, tmp_path):
    workspace = tmp_path / "work"
    shutil.copytree(finished, workspace, ignore=shutil.ignore_patterns("cache"))
    before = faults.content(workspace)
    with killing_a_child():
        printed = stage(workspace, "figures", expect=2)
    assert sentence(printed) == "error: a process that draws was killed, expected it to finish"
    assert faults.content(workspace) == before


def test_a_killed_process_of_the_solver_is_a_sentence():
    data = read_data(read_params(ROOT / "params.yaml")["data"])
    regime = regime_of(data.datasets["cfd2d_ood_decay_v2"], data)
    with (
        killing_a_child(),
        pytest.raises(InputError, match="a process of the solver was killed"),
    ):
        generate(regime, [((0,), 2 * AT_ONCE)], 2, "killed")
