"""The numbers that DVC lists: those of the full files, and few."""

import json

import pytest
import yaml

from chimera.study.headline import headline
from workspaces import ROOT


def leaves(content):
    if not isinstance(content, dict):
        return 1
    return sum(map(leaves, content.values()))


@pytest.fixture(scope="module")
def files():
    return [
        json.loads((ROOT / f"metrics/{name}.json").read_text()) for name in ("summary", "stats")
    ]


def test_every_number_is_that_of_a_full_file_under_its_key(files):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    summary, stats = files
    found = headline(summary, stats, params["model_names"])
    for model in params["model_names"]:
        both = stats.get(model, {}) | summary[model]
        for axis, value in found[model].items():
            rows = value.items() if isinstance(value, dict) else ()
            assert all(both[axis][key] == number for key, number in rows)
            assert rows or both[axis] == value
    assert found["standing"] == stats["standing"]
    # of each model an error an axis and their mean, two spreads, the gap; contrast and verdict
    axes = len(params["datasets"]) + 1
    assert leaves(found) == 2 * (axes + 2 + 1) + 5 + 1
    assert leaves(found) <= 40


def test_a_study_of_one_replicate_has_no_contrast(files):
    summary, _ = files
    alone = {name: {"ood_nrmse": {}} for name in ("unet", "fractal_unet")}
    found = headline(summary, alone | {"standing": "pilot"}, ["unet", "fractal_unet"])
    assert not {"ood_nrmse", "verdict"} & (found["unet"].keys() | found["fractal_unet"].keys())


def test_dvc_lists_them_beside_the_gates_alone():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    listed = {path for stage in stages.values() for row in stage.get("metrics", ()) for path in row}
    assert listed == {"metrics/headline.json", "metrics/parity.json", "metrics/verify.json"}
