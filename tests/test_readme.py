"""What README says was found is what the record of the study says, digit by digit."""

import json
import math
import re
from pathlib import Path

import pytest

from chimera.files.artifacts import read_csv, read_params
from chimera.governance.preregistration import read_preregistration
from chimera.report.verdict import verdicts
from chimera.tuning.table import gain_of_longer, trials_by_model

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "records/E1"
PLAN = read_preregistration(RECORD / "PREREGISTRATION.md")
PARAMS = read_params(RECORD / "params.yaml")
MODELS = PARAMS["model_names"]


def metrics(name):
    return json.loads((RECORD / f"metrics/{name}.json").read_text())


SUMMARY = metrics("summary")
SMALLEST = "smallest of interest, declared beforehand as one error a tenth above the other, stays"
AXES = [axis for axis, row in SUMMARY["unet"].items() if isinstance(row, dict)]


def error(name, axis):
    return SUMMARY[name][axis]["nrmse"]


@pytest.fixture(scope="module")
def section():
    """Return the section `What was found` of README as one line."""
    text = (ROOT / "README.md").read_text()
    found = re.search(r"^## What was found\n(.+?)^## ", text, flags=re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split())


@pytest.fixture(scope="module")
def verdict():
    """Return what the record's report says, the decision cut to its first sentence."""
    (verdict,) = verdicts(metrics("stats"), SUMMARY, PLAN, MODELS, PARAMS["baseline"])
    return [
        f"**{verdict.headline}**",
        verdict.sentences[0],
        verdict.sentences[1].split(" The claim")[0],
    ]


def test_readme_repeats_the_record(section, verdict):
    for sentence in verdict:
        assert sentence in section
    stats = metrics("stats")
    assert stats["standing"] == "confirmatory"
    assert stats["fractal_unet"]["verdict"] == "better"
    primary = stats["fractal_unet"]["ood_nrmse"]
    assert primary["cs_high"] < 0, "there is a difference"
    assert f"{SMALLEST} open: both intervals reach beyond it" in section
    assert math.exp(PLAN.margin) == pytest.approx(1.1, rel=1e-4)
    assert max(primary["ci_low"], primary["cs_low"]) < -PLAN.margin, "both intervals reach beyond"


def test_readme_says_what_holds_in_distribution(section):
    said = "In distribution the error is lower by as much, and the ratio of the two shows no"
    assert f"{said} difference" in section
    found = metrics("stats")["fractal_unet"]
    ind, ood, gap = (found[name] for name in ("ind_nrmse", "ood_nrmse", "gap"))
    assert ind["q"] < PLAN.alpha
    assert abs(ind["estimate"] - ood["estimate"]) < 0.005
    assert gap["ci_low"] < 0 < gap["ci_high"]


def test_readme_has_no_other_number(section, verdict):
    for sentence in verdict:
        assert section.count(sentence) == 1
        section = section.replace(sentence, "")
    assert not re.findall(r"\d", re.sub(r"\(records/E1\S*\)", "", section))


def test_readme_says_what_the_baselines_do(section):
    assert (
        "On every axis both networks err less than half as much as predicting no change" in section
    )
    assert len(AXES) == len(PARAMS["datasets"]) + 1  # and the mean of the OOD axes
    for model in MODELS:
        for axis in AXES:
            assert error(model, axis) < error("persistence", axis) / 2
    own = "on the networks' own grid errs less than half as much as either on every axis"
    assert own in section
    assert PARAMS["data"]["num_points"] == 64
    for axis in AXES:
        best = min(error(model, axis) for model in MODELS)
        assert error("solver_64", axis) < best / 2


def test_readme_says_what_a_solver_costs(section):
    """A solver that errs less in less time is never paid back by what else a network takes."""
    said = "in [less time a frame](docs/metrics.md#cost) and without data or training"
    assert f"{said}, so that a network never pays for its training" in section
    times = {row["name"]: row["ms_per_frame_batch"] for row in read_csv(ROOT / "plots/cost.csv")}
    for model in MODELS:
        assert float(times["solver_64"]) < float(times[model])


def test_readme_says_that_both_learn_at_the_searched_rates(section):
    assert "Both networks learn at the best of the [same searched rates](docs/tuning.md)" in section
    tried = read_csv(RECORD / "tuning/trials.csv")
    rates = {m: {r["lr"] for r in tried if r["model"] == m} for m in MODELS}
    assert len(set(map(frozenset, rates.values()))) == 1


def test_readme_says_that_more_steps_would_gain_more(section):
    said = (
        "neither to its end: twice the steps would still lower both validation errors by more than "
    )
    assert f"{said}a tenth, UNet's by more" in section
    repeats = trials_by_model(read_csv(RECORD / "tuning/repeats.csv"))
    found = {model: gain_of_longer(repeats[model]) for model in MODELS}
    for before, after, gain in found.values():
        assert (before, after) == (PARAMS["train"]["steps"], 2 * PARAMS["train"]["steps"])
        assert gain > 0.1
    assert max(found, key=lambda model: found[model][2]) == PARAMS["baseline"]
