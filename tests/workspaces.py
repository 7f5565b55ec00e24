"""Workspaces in which the tests run the real dvc on the real pipeline."""

import io
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path

import pytest
import torch

import warm
from chimera.interface.errors import InputError

ROOT = Path(__file__).parents[1]
# Two replicates and OOD axes: the least that has a spread, statistics, and a mean over axes.
SMOKE = (
    "scale=smoke",
    "replicates=[0,1]",
    "scale.datasets=[cfd2d_ind_v2,cfd2d_ood_amplitude_v2,cfd2d_ood_decay_v2]",
)
BIN = Path(sys.executable).parent
FRESH = os.environ | {  # every process starts from nothing
    "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    "OMP_NUM_THREADS": "1",
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
}
ENVIRONMENT = FRESH | {"PATH": f"{warm.FOLDER}{os.pathsep}{FRESH['PATH']}"}


def call(workspace, *command, expect=0, environment=ENVIRONMENT):
    """Run a command in a workspace and return what it printed."""
    warm.start()
    done = subprocess.run(
        command, cwd=workspace, env=environment, capture_output=True, text=True, check=False
    )
    printed = done.stdout + done.stderr
    assert done.returncode == expect, f"{' '.join(map(str, command))}\n{printed}"
    return printed


def run_here(workspace, module, arguments, expect):
    """Run a module's main as `guarded` does, without a new process, which would import torch."""
    main, printed, status = import_module(module).main, io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(printed):
        patch.chdir(workspace)
        patch.setattr(sys, "argv", [module, *arguments])
        try:
            main()
        except InputError as error:
            print(f"error: {error}")  # noqa: T201
            status = 2
        finally:
            torch.use_deterministic_algorithms(False)
    assert status == expect, printed.getvalue()
    return printed.getvalue()


def stage(workspace, name, *arguments, expect=0):
    """Run a stage; training as dvc.yaml does, because a run that goes on must be the very same."""
    module = f"chimera.stages.{name}"
    if name == "train":
        return call(workspace, "python", "-m", module, *arguments, expect=expect)
    return run_here(workspace, module, arguments, expect)


def command(workspace, name, *arguments, expect=0):
    """Run a command."""
    return run_here(workspace, f"chimera.commands.{name}", arguments, expect)


def sentence(printed):
    """Return the one error sentence that was printed, and assert that it is alone."""
    assert "Traceback" not in printed
    errors = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, printed
    return errors[0]


def commit(workspace):
    """Commit everything that git does not ignore."""
    call(workspace, "git", "add", "--all")
    call(workspace, "git", "commit", "--quiet", "--message", "test")


def copy_tree(workspace):
    """Copy everything that git does not ignore, but dvc.lock, into a new repository."""
    workspace.mkdir(parents=True)
    listed = call(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard")
    for name in listed.splitlines():
        source, target = ROOT / name, workspace / name
        if source.exists() and name not in {"dvc.lock"}:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    call(workspace, "git", "init", "--quiet")
