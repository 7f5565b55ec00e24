"""The frozen block is read strictly, and every departure from it is found by its key."""

from pathlib import Path

import pytest
import yaml

from chimera.governance.preregistration import Deviation, deviations, read_preregistration
from chimera.interface.errors import InputError
from chimera.study.axes import axis_name
from chimera.study.endpoints import endpoint_names

ROOT = Path(__file__).parents[2]


def params():
    return yaml.safe_load((ROOT / "params.yaml").read_text())


def test_the_committed_parameters_are_the_frozen_ones():
    plan = read_preregistration(ROOT / "PREREGISTRATION.md")
    assert deviations(plan.parameters, params()) == []


def test_every_declared_endpoint_exists_once():
    plan = read_preregistration(ROOT / "PREREGISTRATION.md")
    declared = [plan.primary, *plan.secondary]
    datasets = params()["datasets"]
    axes = [axis_name(dataset, datasets) for dataset in datasets]
    assert sorted(declared) == sorted(endpoint_names(axes))


def test_what_decides_the_numbers_is_frozen():
    frozen = read_preregistration(ROOT / "PREREGISTRATION.md").parameters
    running = params()
    assert set(running["train"]) - set(frozen["train"]) == {
        "device", "devices", "threads", "deterministic", "compile", "memory",
        "log_every", "save_every", "validate_every",
    }  # fmt: skip
    assert frozen["models"].keys() == running["models"].keys()
    assert set(running["data"]) - set(frozen["data"]) == {
        "manifests", "names", "generated", "imported",
    }  # fmt: skip
    assert {"seed", "replicates", "baseline", "model_names", "datasets", "parity"} <= set(frozen)


def test_deviations_are_leaves_with_both_values():
    frozen = {"seed": 0, "train": {"steps": 10, "lr": 0.1}, "models": {"unet": {"norm": "group"}}}
    running = {"seed": 1, "train": {"steps": 20, "lr": 0.1, "threads": 4}, "models": {"unet": 3}}
    assert deviations(frozen, running) == [
        Deviation("seed", 0, 1),
        Deviation("train.steps", 10, 20),
        Deviation("models.unet", {"norm": "group"}, 3),
    ]
    assert deviations({"a": {"b": 1}}, {}) == [Deviation("a", {"b": 1}, None)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no block", "has 0 yaml blocks, expected one"),
        ("```yaml\na: 1\n```\n```yaml\nb: 1\n```\n", "has 2 yaml blocks"),
        ("```yaml\na: [\n```\n", r"^PREREGISTRATION\.md is not YAML"),
        ("```yaml\nday: 2026-13-45\n```\n", r"^PREREGISTRATION\.md is not YAML: month must be"),
        ("```yaml\nalpha: 0.05\npowr: 1\n```\n", r"powr is not a known key; did you mean power"),
    ],
)
def test_a_broken_plan_is_one_sentence(tmp_path, text, words):
    path = tmp_path / "PREREGISTRATION.md"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_preregistration(path)
