"""What README says was found is what the metrics say.

README belongs to the committed metrics: while these are as committed, it repeats them digit by
digit. Where `make repro` has written others, as on another kind of processor, README still has to
say the same within what other bits may change: TOLERANCE standard deviations between replicates.
Two kinds of processor differed by 0.1 to 0.6 of them.
"""

import json
import math
import re
import subprocess
from pathlib import Path

import pytest
from scipy.stats import t

from chimera.files.artifacts import read_csv, read_params
from chimera.governance.preregistration import read_preregistration
from chimera.report.verdict import percent, verdicts
from chimera.study.endpoints import by_model
from chimera.tuning.table import gain_of_longer, trials_by_model

ROOT = Path(__file__).parents[1]
PLAN = read_preregistration(ROOT / "PREREGISTRATION.md")
PARAMS = read_params(ROOT / "params.yaml")
(MODEL,) = (name for name in PARAMS["model_names"] if name != PARAMS["baseline"])
TOLERANCE = 1.0
NUMBERS = re.compile(
    r"Over (?P<n>\d+) paired replicates .+ error is (?P<estimate>\S+% \w+) than .+ "
    r"\((?P<level>\d+)% t interval: (?P<low>\S+% \w+) to (?P<high>\S+% \w+); "
    r"p = (?P<p>\S+) \(paired t test\); "
    r"Hedges' g = (?P<g>\S+)\)"
)
POWER = re.compile(
    r"find a difference of (?P<size>\S+)% of error with a probability of (?P<power>\d+)%, and the "
    r"smallest of interest is (?P<margin>\S+)%"
)
HEADLINE = re.compile(r"\*\*(?P<n>\d+) replicates leave undecided whether .+? error\.\*\*")


def metrics(name):
    return json.loads((ROOT / f"metrics/{name}.json").read_text())


@pytest.fixture(scope="module")
def section():
    """Return the section `What was found` of README as one line."""
    text = (ROOT / "README.md").read_text()
    found = re.search(r"^## What was found\n(.+?)^## ", text, flags=re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split())


def are_as_committed():
    """Say whether the metrics are those that README was written with."""
    asked = ["git", "diff", "--quiet", "HEAD", "--", "metrics"]
    return subprocess.run(asked, cwd=ROOT, check=False).returncode == 0


def log_ratio(words):
    """Return ln of the ratio that `1.4% higher` names."""
    share, direction = words.split("% ")
    return math.log1p(float(share) / 100 * {"higher": 1, "lower": -1}[direction])


def test_readme_repeats_the_committed_metrics(section):
    if not are_as_committed():
        return  # the next test compares
    stats = metrics("stats")
    (verdict,) = verdicts(
        stats, metrics("summary"), PLAN, PARAMS["model_names"], PARAMS["baseline"]
    )
    assert f"**{verdict.headline}**" in section
    assert verdict.sentences[0] in section


def test_readme_says_what_the_metrics_say(section):
    row = by_model(metrics("stats"))[MODEL][PLAN.primary]
    said, n = NUMBERS.search(section), len(PARAMS["replicates"])
    assert int(said["n"]) == row["n"] == n
    assert int(said["level"]) == round(100 * (1 - PLAN.alpha))
    estimate, low, high = (log_ratio(said[name]) for name in ("estimate", "low", "high"))
    half_width = t.isf(PLAN.alpha / 2, n - 1) / math.sqrt(n)  # of an interval, in spreads
    spread = (high - low) / 2 / half_width
    there = abs(row["estimate"] / row["cohens_dz"])
    assert estimate == pytest.approx(row["estimate"], abs=TOLERANCE * max(spread, there))
    # What else the sentence says follows from these, but for the rounding of its digits.
    d_z = estimate / spread
    assert estimate == pytest.approx((low + high) / 2, abs=2e-3)
    assert float(said["g"]) == pytest.approx(d_z * row["hedges_gz"] / row["cohens_dz"], abs=0.02)
    p = 2 * t.sf(abs(d_z) * math.sqrt(n), n - 1)
    assert float(said["p"]) == pytest.approx(p, abs=0.02)
    assert int(HEADLINE.search(section)["n"]) == n
    assert metrics("stats")[MODEL]["verdict"] == "undecided"


def test_readme_says_how_likely_an_effect_is_found(section):
    said, row = POWER.search(section), by_model(metrics("stats"))[MODEL][PLAN.primary]
    assert int(said["power"]) == round(100 * PLAN.power)
    assert f"{said['margin']}%" == percent(PLAN.margin)
    # As the spread between three replicates varies, so does this: within half of it.
    size = math.log1p(float(said["size"]) / 100)
    assert size == pytest.approx(row["detectable"], rel=0.5)
    if are_as_committed():
        assert f"{said['size']}%" == percent(row["detectable"])
    assert "three replicates find" in section
    assert len(PARAMS["replicates"]) == 3
    assert metrics("stats")["standing"] == "pilot"  # "This is the pilot"


def test_readme_has_no_other_number(section):
    for known in (NUMBERS, POWER, HEADLINE, re.compile(r"!\[.+?\]\(.+?\)")):
        section, count = known.subn("", section)
        assert count == 1
    assert not re.findall(r"\d", section)


def test_readme_says_what_the_baselines_do(section):
    """Half of persistence on every axis, and where a solver is better than both networks."""
    half = "On every axis both networks err less than half as much as predicting no change"
    assert half in section
    named = (
        "on a grid three quarters as fine errs less than both on stronger and on turned forcing, "
    )
    assert f"{named}on decay and in the mean over the axes" in section
    assert "FractalUNet errs less than that solver in distribution" in section
    assert 3 * PARAMS["data"]["num_points"] == 4 * 48
    summary = metrics("summary")
    axes = [axis for axis, row in summary["solver_48"].items() if isinstance(row, dict)]
    assert len(axes) == len(PARAMS["datasets"]) + 1  # and the mean of the OOD axes
    better = {"ood_amplitude", "ood_rotation", "ood_decay", "ood"}
    for model in PARAMS["model_names"]:
        for axis in axes:
            error, solver = (summary[name][axis]["nrmse"] for name in (model, "solver_48"))
            margin = TOLERANCE * summary[model][axis]["nrmse_sd"]
            assert error - margin < summary["persistence"][axis]["nrmse"] / 2
            assert axis not in better or solver < error + margin
            assert (model, axis) != ("fractal_unet", "ind") or error - margin < solver
    if are_as_committed():
        found = {
            axis
            for axis in axes
            if summary["solver_48"][axis]["nrmse"]
            < min(summary[model][axis]["nrmse"] for model in PARAMS["model_names"])
        }
        assert found == better


def test_readme_says_what_a_solver_costs(section):
    assert "in [less time a frame](docs/metrics.md#cost) and without data or training" in section
    times = {row["name"]: row["ms_per_frame_batch"] for row in read_csv(ROOT / "plots/cost.csv")}
    for model in PARAMS["model_names"]:
        assert float(times["solver_48"]) < float(times[model])


def test_readme_says_that_both_learn_at_the_searched_rates(section):
    assert "Both networks learn at the best of the [same searched rates](docs/tuning.md)" in section
    tried = read_csv(ROOT / "tuning/trials.csv")
    rates = {m: {r["lr"] for r in tried if r["model"] == m} for m in PARAMS["model_names"]}
    assert len(set(map(frozenset, rates.values()))) == 1


def test_readme_says_that_more_steps_would_gain_more(section):
    said = (
        "neither to its end: twice the steps would still lower both validation errors by more than "
    )
    assert f"{said}a tenth, UNet's by more" in section
    repeats = trials_by_model(read_csv(ROOT / "tuning/repeats.csv"))
    found = {model: gain_of_longer(repeats[model]) for model in PARAMS["model_names"]}
    for before, after, gain in found.values():
        assert (before, after) == (PARAMS["train"]["steps"], 2 * PARAMS["train"]["steps"])
        assert gain > 0.1
    assert max(found, key=lambda model: found[model][2]) == PARAMS["baseline"]
