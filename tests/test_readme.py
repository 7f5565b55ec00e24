"""What README says was found is what metrics/stats.json says."""

import json
from pathlib import Path

from chimera.artifacts import read_params
from chimera.preregistration import read_preregistration
from chimera.report.verdict import verdicts

ROOT = Path(__file__).parents[1]


def test_readme_tells_the_verdict_of_the_committed_metrics():
    params = read_params(ROOT / "params.yaml")
    plan = read_preregistration(ROOT / "PREREGISTRATION.md")
    metrics = [json.loads((ROOT / f"metrics/{n}.json").read_text()) for n in ("stats", "summary")]
    (verdict,) = verdicts(*metrics, plan, params["model_names"], params["baseline"])
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert verdict.headline in readme
    assert verdict.sentences[0] in readme
