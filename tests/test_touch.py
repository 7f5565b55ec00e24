"""What really runs after an edit: the real dvc at smoke scale, on the code of its own workspace."""

import re
import shutil

import pytest

from workspaces import ENVIRONMENT, call, commit

CELLS = [f"{model}-{r}" for model in ("unet", "fractal_unet") for r in (0, 1)]


@pytest.fixture
def own_code(finished, tmp_path):
    """Return a finished workspace whose stages import the workspace's code, and its environment."""
    workspace = tmp_path / "chimera"
    shutil.copytree(finished, workspace, symlinks=True)
    return workspace, ENVIRONMENT | {"PYTHONPATH": str(workspace / "src")}


def run_after_touching(workspace, environment, *names):
    """Append a comment to files of the package and return the stages that dvc then runs."""
    for name in names:
        with (workspace / "src/chimera" / name).open("a") as stream:
            stream.write("# a comment\n")
    printed = call(workspace, "dvc", "repro", environment=environment)
    return set(re.findall(r"^Running stage '(.*)'", printed, flags=re.MULTILINE))


def test_a_comment_in_a_probe_runs_its_cells_alone(own_code):
    ran = run_after_touching(*own_code, "probes/spectra/measure.py")
    assert ran == {"validate", *(f"probe@spectra-{cell}" for cell in CELLS)}


def test_a_comment_in_messages_commands_or_review_runs_nothing(own_code):
    names = ("interface/progress.py", "commands/plan.py", "review/comment.py")
    assert run_after_touching(*own_code, *names) == set()


@pytest.mark.full
def test_a_comment_in_one_network_runs_the_cells_of_its_models_alone(own_code):
    ran = run_after_touching(*own_code, "models/networks/fractal_unet.py")
    cells = {stage for stage in ran if re.match(r"(train|evaluate|probe)@", stage)}
    fractal = [cell for cell in CELLS if cell.startswith("fractal")]
    probes = ("twonn", "ib", "spectra", "patching", "rome")
    assert cells == {
        *(f"{stage}@{cell}" for stage in ("train", "evaluate") for cell in fractal),
        *(f"probe@{probe}-{cell}" for probe in probes for cell in fractal),
    }
    assert ran - cells <= {"validate", "networks@unet", "networks@fractal_unet",
                           "parity", "aggregate", "report"}  # fmt: skip


@pytest.mark.full
def test_a_second_experiment_runs_in_a_clone_without_the_cache(finished, tmp_path):
    clone = tmp_path / "clone"
    call(tmp_path, "git", "clone", "--quiet", str(finished), str(clone))
    for seed in (1, 2):
        printed = call(clone, "dvc", "exp", "run", "-S", "scale=smoke", "-S", f"seed={seed}",
                       "--force" if seed == 2 else "--quiet")  # fmt: skip
        assert "ERROR" not in printed
        shutil.rmtree(clone / ".dvc/cache")
        commit(clone)
