"""The stage stats on made-up errors: its keys, the verdict and the standing of whole studies."""

import hashlib
import json
import math
import re
import sys

import numpy as np
import pytest
import yaml

from chimera.files.artifacts import write_csv, write_json
from chimera.stages import stats
from chimera.study.aggregation import summarise
from chimera.study.error_table import METRICS, read_errors
from governance.plans import PLAN, bent, markdown, running

KEYS = {
    "estimate", "ci_low", "ci_high", "p", "q", "p_equivalence", "e_value", "cs_low", "cs_high",
    "cohens_dz", "hedges_gz", "bca_low", "bca_high", "sign_flip_p", "sign_flip_p_smallest",
    "detectable", "n",
}  # fmt: skip
FROZEN = {"unfrozen": 0, "mismatched": 0, "missing": 0}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs the stage on errors exp(effect) times those of the baseline."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["stats"])

    def stage(params, effects, plan=PLAN, spread=0.03, verify=FROZEN):
        (tmp_path / "PREREGISTRATION.md").write_text(markdown(plan))
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
        axes = ["ind", *("ood_force" for _ in params["datasets"][1:])]
        rng = np.random.default_rng(0)
        rows = []
        for replicate in params["replicates"]:
            for model in params["model_names"]:
                factor = math.exp(effects.get(model, 0.0) + spread * rng.normal())
                for axis in axes:
                    row = {"model": model, "replicate": replicate, "axis": axis, "trajectory": 0}
                    rows.append(
                        row | dict.fromkeys(METRICS, 0.1 * factor * (1 + 0.02 * rng.uniform()))
                    )
        write_csv(tmp_path / "metrics/errors.csv", rows)
        write_csv(tmp_path / "metrics/statistics.csv", [])
        write_json(tmp_path / "metrics/verify.json", verify)
        text = [{name: str(value) for name, value in row.items()} for row in rows]
        write_json(
            tmp_path / "metrics/summary.json", summarise(read_errors(text), plan.get("weights"))
        )
        stats.main()
        return json.loads((tmp_path / "metrics/stats.json").read_text())

    return stage


def leaves(value):
    """Return every leaf of nested mappings."""
    return [x for v in value.values() for x in leaves(v)] if isinstance(value, dict) else [value]


def require_numbers_and_words(report):
    for leaf in leaves(report):
        if isinstance(leaf, str):
            assert re.fullmatch(r"\w{1,20}", leaf)
        else:
            assert math.isfinite(leaf)


def test_a_study_that_its_rule_ended_is_confirmatory(run, tmp_path):
    params, effects = running("study", replicates=[*range(12)]), {"big": 0.25}
    report = run(params, effects, spread=0.1)
    assert (report["big"]["verdict"], report["standing"]) == ("worse", "exploratory")
    at = report["big"]["decided_at"]
    assert 4 < at < 12
    # With the replicates up to its decision, and no others, it confirms.
    params["replicates"] = [*range(at)]
    report = run(params, effects, spread=0.1)
    assert (report["big"]["decided_at"], report["standing"]) == (at, "confirmatory")
    assert (report["confirmatory"], report["deviations"], report["replicates"]) == (1, 0, at)
    params["replicates"] = [*range(at + 1)]
    assert run(params, effects, spread=0.1)["standing"] == "exploratory"
    params["replicates"] = [*range(at - 1)]
    unfinished = run(params, effects, spread=0.1)
    assert (unfinished["big"]["verdict"], unfinished["standing"]) == ("undecided", "exploratory")
    digest = hashlib.sha256((tmp_path / "PREREGISTRATION.md").read_bytes()).hexdigest()
    assert report["preregistration"] == digest[:12]
    require_numbers_and_words(report)


@pytest.mark.parametrize("models", [["unet"], ["unet", "big"], ["unet", "big", "huge", "vast"]])
@pytest.mark.parametrize("replicates", [1, 2, 5, 12])
def test_keys_for_any_number_of_models_and_replicates(run, models, replicates):
    params = running(model_names=models, replicates=[*range(replicates)])
    report = run(params, {"big": 0.3, "huge": -0.3})
    require_numbers_and_words(report)
    assert report["margin"] == PLAN["margin"]
    assert report["spearman"] == {"withheld": 1}
    for model in models[1:]:
        rows = report[model]
        nested = {name: row for name, row in rows.items() if isinstance(row, dict)}
        assert set(nested) == (set() if replicates == 1 else {"ood_nrmse", "ind_nrmse", "gap"})
        assert all(set(row) - {"variance_share"} == KEYS for row in nested.values())
        assert rows["verdict"] in {"better", "worse", "equivalent", "undecided"}
        assert ("decided_at" in rows) == (rows["verdict"] != "undecided")
        if replicates > 1:
            assert (nested["gap"]["cs_low"] == "unbounded") == (replicates < 4)
    assert set(models[1:]) == {name for name in report if isinstance(report[name], dict)} - {
        "spearman"
    }


def test_without_an_ood_axis_nothing_is_decided(run):
    params = running(datasets=["ind_v1"], replicates=[0, 1, 2, 3, 4])
    report = run(params, {"big": 0.5})
    assert set(report["big"]) == {"verdict", "ind_nrmse"}
    assert report["big"]["verdict"] == "undecided"
    assert "spearman" not in report
    assert report["standing"] == "exploratory"


def test_swapped_models_mirror_every_number(run):
    params = running(replicates=[*range(8)])
    plain = run(params, {"big": 0.2})
    swapped = run(params | {"baseline": "big"}, {"big": 0.2})
    mirrored = {"better": "worse", "worse": "better"}
    one, other = plain["big"], swapped["unet"]
    assert other["verdict"] == mirrored.get(one["verdict"], one["verdict"])
    for key in ("decided_at", "further", "decision_probability"):
        assert one.get(key) == other.get(key)
    for name in ("ood_nrmse", "ind_nrmse", "gap"):
        for key in KEYS:
            pair = {"low": "high", "high": "low"}
            *stem, end = key.split("_")
            twin = "_".join([*stem, pair[end]]) if end in pair else key
            signed = end in pair or key in {"estimate", "cohens_dz", "hedges_gz"}
            assert one[name][key] == (-1 if signed else 1) * other[name][twin], key


def test_the_declared_rule_decides(run):
    params = running(replicates=[*range(8)])
    effects = {"big": 0.05}
    assert run(params, effects, spread=0.002)["big"]["verdict"] == "equivalent"
    narrow = run(params, effects, bent("margin", 0.01), spread=0.002)
    assert narrow["big"]["verdict"] == "worse"
    late = run(params, effects, bent("stopping.first_look", 12), spread=0.002)
    assert late["big"]["verdict"] == "undecided"
    assert late["big"]["further"] == 4
    assert late["margin"] == PLAN["margin"]
