"""docs/architectures.md says of E2 what its record says, and conf/ has what was run."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from chimera.commands.compose import compose
from chimera.files.artifacts import parse_yaml, read_csv, read_params
from chimera.report.verdict import percent
from chimera.study.error_table import read_errors

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "records/E2"
PARAMS = read_params(RECORD / "params.yaml")
PAGE = (ROOT / "docs/architectures.md").read_text()


def metrics(name):
    return json.loads((RECORD / f"metrics/{name}.json").read_text())


def expected_rows():
    """Return the row of every model, written from the record."""
    summary, stats = metrics("summary"), metrics("stats")
    for model in PARAMS["model_names"]:
        ind, ood = summary[model]["ind"], summary[model]["ood"]
        cells = [f"`{model}`", f"{ind['nrmse']:.4f} ± {ind['nrmse_sd']:.4f}"]
        cells.append(f"{ood['nrmse']:.4f} ± {ood['nrmse_sd']:.4f}")
        primary = stats.get(model, {}).get("ood_nrmse")
        if primary is None:
            cells += ["", ""]
        else:
            ends = [signed(primary[name]) for name in ("estimate", "ci_low", "ci_high")]
            cells += ["{} ({} to {})".format(*ends), f"{primary['q']:.3f}"]
        yield cells


def signed(d):
    """Return a difference of ln errors as a change of the error, in percent."""
    return f"{100 * math.expm1(d):+.1f}%"


@pytest.fixture(scope="module")
def results():
    """Return the section of results."""
    return PAGE[PAGE.index("## Results") :]


def test_the_table_is_that_of_the_record(results):
    lines = [line for line in results.splitlines() if line.startswith("| `")]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert found == list(expected_rows())


def test_every_model_is_reported_and_nothing_is_confirmed(results):
    assert metrics("stats")["standing"] == "exploratory"
    assert "exploratory" in results
    declared = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \| [^|]+ \|$", PAGE, flags=re.MULTILINE)
    assert sorted(declared) == sorted(PARAMS["model_names"])
    assert len(PARAMS["replicates"]) == 3


@pytest.mark.parametrize(("shown", "kept"), [("e2_errors", "fig1_errors"), ("e2_cost", "cost")])
def test_the_pictures_are_those_of_the_record(results, shown, kept):
    assert f"(pictures/{shown}.png)" in results
    picture = ROOT / f"docs/pictures/{shown}.png"
    assert picture.read_bytes() == (RECORD / f"plots/png/{kept}.png").read_bytes()


def test_conf_composes_what_was_run():
    composed = parse_yaml(compose(["experiment=E2_architectures"]), "params.yaml")
    for key in ("models", "model_names", "baseline", "replicates", "datasets", "probe_names"):
        assert composed[key] == PARAMS[key], key
    for key in ("steps", "batch_size", "lr", "weight_decay"):
        assert composed["train"][key] == PARAMS["train"][key], key


def test_every_model_has_the_rates_that_won_its_search():
    trials = read_csv(RECORD / "tuning/trials.csv")
    for model in PARAMS["model_names"]:
        own = [row for row in trials if row["model"] == model]
        rates = sorted({float(row["lr"]) for row in own})
        best = min(own, key=lambda row: float(row["valid_nrmse"]))
        used = PARAMS["models"][model].get("train", PARAMS["train"])
        for name in ("lr", "weight_decay"):
            assert used[name] == pytest.approx(float(best[name]), rel=1e-3), (model, name)
        assert {float(row["lr"]) for row in trials if row["model"] == "unet"} == set(rates)


def test_what_the_page_reads_from_the_table(results):
    stats, summary = metrics("stats"), metrics("summary")
    margin = stats["margin"]
    assert f"smallest difference of interest, {percent(margin)}" in results
    unets = [model for model in PARAMS["model_names"] if model not in ("unet", "fno")]
    for model in unets:
        row = stats[model]["ood_nrmse"]
        assert row["ci_low"] < -margin or row["ci_high"] > margin
        assert row["ci_low"] < 0 < row["ci_high"]
    assert "`unet_fractal_widths`, which has them, errs no less than `unet`" in results
    for axis in ("ind", "ood"):
        assert summary["unet_fractal_widths"][axis]["nrmse"] > summary["unet"][axis]["nrmse"]
        assert summary["fractal_unet"][axis]["nrmse"] < summary["unet"][axis]["nrmse"]
    axes = [axis for axis, row in summary["unet"].items() if isinstance(row, dict)]
    ratios = [summary["fno"][axis]["nrmse"] / summary["unet"][axis]["nrmse"] for axis in axes]
    assert f"{min(ratios):.1f} to {max(ratios):.1f} times as much as `unet`, by axis" in results
    for axis in axes:
        for model in PARAMS["model_names"]:
            assert summary["solver_64"][axis]["nrmse"] < summary[model][axis]["nrmse"]


def test_one_run_of_three_columns_fails_where_the_forcing_is_off():
    found = read_errors(read_csv(RECORD / "metrics/errors.csv"))
    persistence = metrics("summary")["persistence"]["ood_decay"]["nrmse"]
    errors = [
        np.mean(found["fractal_unet_c3", replicate]["ood_decay"]["nrmse"])
        for replicate in PARAMS["replicates"]
    ]
    assert sum(error > persistence for error in errors) == 1


def test_the_operator_learns_at_the_lowest_rate():
    rates = {
        model: PARAMS["models"][model].get("train", PARAMS["train"])["lr"]
        for model in PARAMS["model_names"]
    }
    assert min(rates, key=rates.get) == "fno"
