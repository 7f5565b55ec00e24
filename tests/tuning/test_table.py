"""What the table of a search says: its winner, the best of k, and what conf/ has of it."""

from itertools import combinations
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import yaml

from chimera.files.artifacts import read_csv, read_json
from chimera.interface.errors import InputError
from chimera.tuning.table import best_of, gain_of_longer, ranked, require_bracketed, trials_by_model

TRIALS, REPEATS = (read_csv(Path(f"tuning/{name}.csv")) for name in ("trials", "repeats"))
DECLARED = yaml.safe_load(Path("tuning/params.yaml").read_text())
PARAMS = yaml.safe_load(Path("params.yaml").read_text())


def row(lr, error, **other):
    return {"model": "unet", "lr": str(lr), "valid_nrmse": str(error), **other}


def test_the_best_of_k_is_the_mean_over_all_subsets():
    errors = list(np.random.default_rng(0).uniform(size=6))
    for k, expected in enumerate(best_of(errors), 1):
        assert expected == pytest.approx(fmean(map(min, combinations(errors, k))))


def test_ties_go_to_the_smaller_rate():
    rows = [row(0.2, 0.05), row(0.02, 0.05), row(0.1, 0.06)]
    assert [r["lr"] for r in ranked(rows)] == ["0.02", "0.2", "0.1"]


@pytest.mark.parametrize("edge", [0.001, 0.2])
def test_a_best_rate_at_an_end_of_the_search_is_refused(edge):
    rows = [row(lr, 0.04 if lr == edge else 0.05) for lr in (0.001, 0.02, 0.2)]
    with pytest.raises(InputError, match=f"the best lr of unet is {edge}, expected one between"):
        require_bracketed("unet", rows)


def test_a_search_in_which_every_training_diverged_is_refused():
    with pytest.raises(InputError, match="the best lr of unet"):
        require_bracketed("unet", [row(lr, "inf") for lr in (0.001, 0.02, 0.2)])


def test_budgets_that_differ_between_models_are_refused():
    rows = [row(0.1, 0.05), row(0.2, 0.05), row(0.1, 0.05) | {"model": "fractal_unet"}]
    with pytest.raises(InputError, match="'unet': 2, 'fractal_unet': 1"):
        trials_by_model(rows)


def test_the_gain_of_longer_training_compares_equal_seeds():
    short = [row(0.1, 0.05, trial="3", seed=str(s), steps="100") for s in (1, 2)]
    short[1]["valid_nrmse"] = "9.0"
    longer = row(0.1, 0.04, trial="3", seed="1", steps="200")
    assert gain_of_longer([*short, longer]) == (100, 200, pytest.approx(0.2))
    assert gain_of_longer(short) is None
    assert gain_of_longer([]) is None


def test_conf_has_the_winners_of_the_committed_table():
    searched = trials_by_model(TRIALS)
    assert list(searched) == DECLARED["models"] == PARAMS["model_names"]
    metrics = read_json(Path("tuning/metrics.json"))
    for model, rows in searched.items():
        require_bracketed(model, rows)
        best = ranked(rows)[0]
        tuned = {name: float(best[name]) for name in ("lr", "weight_decay")}
        assert PARAMS["models"][model]["train"] == tuned
        assert metrics[model]["best_lr"] == tuned["lr"]
        assert metrics[model]["best_valid_nrmse"] == float(best["valid_nrmse"])
        assert metrics[model]["trials"] == len(rows) == DECLARED["trials"]


def test_the_repeats_are_of_the_two_best_at_the_number_of_steps_of_the_study():
    assert DECLARED["steps"] == PARAMS["train"]["steps"]
    for model, rows in trials_by_model(TRIALS).items():
        found = {(r["trial"], r["seed"], r["steps"]) for r in REPEATS if r["model"] == model}
        steps = DECLARED["steps"]
        best, second = (r["trial"] for r in ranked(rows)[:2])
        expected = {(t, s, str(steps)) for t in (best, second) for s in ("1", "2")}
        assert found == expected | {(best, "1", str(2 * steps))}
