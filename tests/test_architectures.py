"""docs/architectures.md says of E2 what its record says, and conf/ has what was run."""

import json
import math
import re
from pathlib import Path

import pytest

from chimera.commands.compose import compose
from chimera.files.artifacts import parse_yaml, read_csv, read_params
from chimera.report.verdict import percent

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "records/E2"
PARAMS = read_params(RECORD / "params.yaml")
PAGE = (ROOT / "docs/architectures.md").read_text()


def metrics(name):
    return json.loads((RECORD / f"metrics/{name}.json").read_text())


def expected_rows():
    """Return the row of every model, written from the record."""
    summary, stats, parity = metrics("summary"), metrics("stats"), metrics("parity")
    times = {row["name"]: row["ms_per_frame_batch"] for row in read_csv(RECORD / "plots/cost.csv")}
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
        assert model in parity
        yield [*cells, f"{float(times[model]):.2f}"]


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
    assert declared == PARAMS["model_names"]
    assert len(PARAMS["replicates"]) == 3


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


def test_the_margin_that_the_page_names_is_declared(results):
    assert f"smallest difference of interest, {percent(metrics('stats')['margin'])}" in results
