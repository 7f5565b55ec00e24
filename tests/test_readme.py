"""What README says was found is what the committed metrics say."""

import json
from pathlib import Path

from chimera.files.artifacts import read_params
from chimera.governance.preregistration import read_preregistration
from chimera.report.verdict import verdicts
from chimera.statistics import paired_t_power

ROOT = Path(__file__).parents[1]


def metrics(name):
    return json.loads((ROOT / f"metrics/{name}.json").read_text())


def test_readme_tells_the_verdict():
    params = read_params(ROOT / "params.yaml")
    plan = read_preregistration(ROOT / "PREREGISTRATION.md")
    stats = metrics("stats")
    (verdict,) = verdicts(
        stats, metrics("summary"), plan, params["model_names"], params["baseline"]
    )
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert verdict.headline in readme
    assert verdict.sentences[0] in readme
    power = paired_t_power(plan.effect, stats["replicates"], alpha=plan.alpha)
    assert f"is found with a probability of {power:.0%}" in readme
    assert stats["replicates"] < stats["required_replicates"]  # "three replicates are too few"


def test_readme_tells_where_the_baselines_are_better():
    summary, models = metrics("summary"), read_params(ROOT / "params.yaml")["model_names"]
    axes = [axis for axis in summary["linear"] if axis not in ("ood", "gap")]
    for model in models:
        losing = {
            baseline: {
                a for a in axes if summary[model][a]["nrmse"] > summary[baseline][a]["nrmse"]
            }
            for baseline in ("persistence", "linear")
        }
        assert losing["persistence"] == {"ood_wavenumber", "ood_decay"}
        assert losing["linear"] <= losing["persistence"]
