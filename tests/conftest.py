"""Tests run on one thread: deterministic, and side by side without getting in each other's way."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

from workspaces import SMOKE, call, command, commit, copy_tree


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Return a workspace, committed to git, in which the smoke scale has run twice over."""
    workspace = tmp_path_factory.mktemp("experiment") / "chimera"
    copy_tree(workspace)
    command(workspace, "compose", *SMOKE)
    call(workspace, "dvc", "repro")
    commit(workspace)
    return workspace
