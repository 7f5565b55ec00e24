"""Benchmarks that the docs name still run: what they measure changes, what they print does not."""

import re
import shutil

import pytest

from chimera.files.artifacts import read_yaml
from chimera.interface.settings import read_settings
from chimera.planning.costs import Laws
from workspaces import call

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def workspace(finished, tmp_path_factory):
    """Return a finished workspace of its own."""
    folder = tmp_path_factory.mktemp("benchmarks") / "chimera"
    shutil.copytree(finished, folder, symlinks=True)
    return folder


def test_the_laws_of_time_are_measured_and_written(workspace):
    path = workspace / "benchmarks/laws.yaml"
    before = path.read_bytes()
    call(workspace, "python", "benchmarks/scaling.py", "--turns", "1", "--write")
    assert path.read_bytes() != before
    laws = read_settings(read_yaml(path), "laws", Laws)
    for law in (laws.solver, laws.training, laws.evaluation):
        assert law.seconds(1e6, 1e6) > 0
    assert "all " in call(workspace, "python", "-m", "chimera.commands.plan", "scale=smoke")


def test_training_is_timed_beside_its_floor_and_the_wells_trainer(workspace):
    printed = call(workspace, "python", "benchmarks/training.py", "--turns", "1", "--model", "unet")
    ratios = dict(re.findall(r"(\w+) \d+ \((\d+\.\d+)\)", printed))
    assert ratios.keys() == {"floor", "step", "stage", "memory", "files", "loop", "well"}
    assert float(ratios["floor"]) == 1
    assert all(float(ratio) > 0 for ratio in ratios.values())
