"""Tests run on one thread: deterministic, and side by side without getting in each other's way."""

import fcntl
import os
import re
import shutil

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

from workspaces import SMOKE, call, command, commit, copy_tree

collect_ignore = ["files/other_vendor"]  # for processes that a test starts

# They take longest, so that they start first: no process ends long after the others. While the
# first makes the finished workspace, the second does without it.
FIRST = (
    "test_experiment.py",
    "test_own_flow.py",
    "test_machines.py",
    "test_touch.py",
    "test_distributed.py",
    "test_training.py",
)


def pytest_collection_modifyitems(items):
    """Put the longest files first; within a file the order stays."""
    items.sort(key=lambda item: (*FIRST, item.path.name).index(item.path.name))


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Return a workspace, committed to git, in which the smoke scale has run.

    The processes of a test run share it, and several read it at a time: run nothing in it.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # then it is the process's own, in the run's
        folder = folder.parent
    workspace = folder / "finished/chimera"
    with (folder / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not workspace.exists():
            copy_tree(workspace)
            command(workspace, "compose", *SMOKE)
            call(workspace, "dvc", "repro")
            commit(workspace)
    return workspace


@pytest.fixture(scope="session")
def recorded(finished, tmp_path_factory):
    """Return a copy of the finished workspace that keeps itself as records/E1, to read."""
    workspace = tmp_path_factory.mktemp("recorded") / "chimera"
    shutil.copytree(finished, workspace, symlinks=True)
    printed = command(workspace, "record", "E1", "--replace")
    assert re.fullmatch(r"records/E1: \d+ files, [\d.]+ MB, (exploratory|pilot)\n", printed)
    return workspace
