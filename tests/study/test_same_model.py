"""Runs of one model that are paired at random differ as often as chance says."""

import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import stats

from chimera.files.artifacts import read_csv, write_csv
from chimera.governance.preregistration import read_preregistration
from chimera.interface.errors import InputError
from chimera.study.endpoints import differences, endpoint
from chimera.study.error_table import METRICS, read_errors
from governance.plans import PLAN, markdown, running

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
from same_model import main, same_model_rows, share_found


@pytest.mark.parametrize("n", [12, 21, 40])
def test_runs_of_one_model_differ_in_a_twentieth_of_pairings(n):
    shares = [
        share_found(np.random.default_rng(seed).normal(-2, 0.08, n), rng=seed) for seed in range(6)
    ]
    assert 0.03 < np.mean(shares) < 0.07
    assert max(shares) < 0.1


def test_a_seed_draws_the_same_pairings_and_a_level_is_kept():
    values = np.random.default_rng(3).normal(size=20)
    assert share_found(values) == share_found(values)
    assert share_found(values, alpha=0.5) == pytest.approx(0.5, abs=0.06)
    with pytest.raises(InputError, match="holds 3 values, expected at least 4"):
        share_found(values[:3])


def test_a_record_gives_the_table_of_its_models(tmp_path, capsys):
    record, rng = tmp_path / "E1", np.random.default_rng(1)
    rows = []
    for model in ("unet", "big"):
        for replicate in range(24):
            for axis in ("ind", "ood_force"):
                run = {"model": model, "replicate": replicate, "axis": axis, "trajectory": 0}
                rows.append(run | dict.fromkeys(METRICS, float(np.exp(rng.normal(-2, 0.08)))))
    write_csv(record / "metrics/errors.csv", rows)
    (record / "PREREGISTRATION.md").write_text(markdown(PLAN))
    (record / "params.yaml").write_text(yaml.safe_dump(running(replicates=[*range(24)])))
    main([str(record), "--output", str(tmp_path / "table.csv")])
    table = read_csv(tmp_path / "table.csv")
    assert [(row["model"], row["runs"], row["alpha"]) for row in table] == [
        ("unet", "24", "0.05"),
        ("big", "24", "0.05"),
    ]
    for row in table:
        values = [
            np.log(r["nrmse"]) for r in rows if r["axis"] != "ind" and r["model"] == row["model"]
        ]
        assert float(row["share"]) == pytest.approx(share_found(values), abs=1e-9)
        assert 0.02 < float(row["share"]) < 0.09
    assert "24 runs of unet: " in capsys.readouterr().out


def test_docs_say_what_the_record_gives():
    rows = same_model_rows(ROOT / "records/E1")
    written = read_csv(ROOT / "benchmarks/same_model.csv")
    assert [(r["model"], float(r["share"])) for r in written] == [
        (row["model"], pytest.approx(row["share"], rel=1e-3)) for row in rows
    ]
    shares = {row["model"]: f"{row['share']:.1%}" for row in rows}
    text = " ".join((ROOT / "docs/study.md").read_text().split())
    said = f"Of the {rows[0]['runs']} runs of FractalUNet in `records/E1` {shares['fractal_unet']}"
    assert said in text
    assert f"of UNet's {shares['unet']}: one of its runs errs half as much again" in text
    plan = read_preregistration(ROOT / "records/E1/PREREGISTRATION.md")
    found = read_errors(read_csv(ROOT / "records/E1/metrics/errors.csv"))
    values = [endpoint(plan.primary, e, plan.weights) for (m, _), e in found.items() if m == "unet"]
    *others, worst = sorted(values)
    assert np.exp(worst - np.mean(others)) == pytest.approx(1.5, abs=0.1)
    d = np.array(differences(plan.primary, found, "fractal_unet", "unet", plan.weights))
    rest = np.delete(d, values.index(worst))
    half = stats.t.ppf(0.975, len(rest) - 1) * rest.std(ddof=1) / np.sqrt(len(rest))
    low, mean, high, median = (
        f"{-np.expm1(v):.1%}"
        for v in (rest.mean() - half, rest.mean(), rest.mean() + half, np.median(d))
    )
    assert f"lower in {(d < 0).sum()} of {len(d)} pairs, by {median} in the median pair" in text
    assert f"without the pair of that run by {mean} (95% t interval {low} to {high})" in text
