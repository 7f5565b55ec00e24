"""The stopping rule by hand and look by look; its error rates, in small and in the tables."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from chimera.files.artifacts import read_csv
from chimera.interface.errors import InputError
from chimera.statistics import confidence_sequence, e_value
from chimera.statistics.e_values import PRIOR_VARIANCE
from chimera.study.decision import (
    StoppingRule,
    decide,
    decide_studies,
    look,
    outlook,
    running_moments,
)

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
import decision as benchmark

RULE = StoppingRule(margin=math.log(1.1))
PROMISED = {"normal", "skewness 0.5", "skewness 1"}


def study(mean, sd, n=40, seed=0):
    """Differences of which every prefix of even length has exactly this mean."""
    half = sd * np.random.default_rng(seed).uniform(0.5, 1.5, n // 2)
    return mean + np.stack([half, -half], axis=1).ravel()


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        (study(0.0, 0.02), "equivalent"),
        (study(0.01, 0.005), "equivalent"),  # which zero is excluded from, too
        (study(-0.5, 0.1), "better"),
        (study(0.5, 0.1), "worse"),
    ],
)
def test_clear_studies_are_decided_at_the_first_look(differences, verdict):
    assert decide(differences, RULE) == (verdict, 8)
    assert decide(differences[:7], RULE) == ("undecided", None)
    assert decide(differences[:8], RULE) == (verdict, 8)


def test_no_look_is_taken_after_the_last():
    undecided = study(0.05, 0.3)
    assert decide(undecided, RULE) == ("undecided", None)
    assert decide(np.concatenate([undecided, study(5.0, 0.01)]), RULE) == ("undecided", None)
    later = StoppingRule(margin=RULE.margin, last_look=80)
    assert decide(np.concatenate([undecided, np.full(40, 5.0)]), later).verdict == "worse"


def test_the_first_decision_stands():
    first = study(0.0, 0.02, 8)
    then = np.concatenate([first, study(1.0, 0.02, 32)])
    assert decide(then, RULE) == ("equivalent", 8)
    assert decide(then, StoppingRule(margin=RULE.margin, first_look=40)).verdict == "worse"


@pytest.mark.parametrize("seed", range(12))
def test_a_decision_is_the_first_look_that_the_sequences_decide(seed):
    rng = np.random.default_rng(seed)
    d = rng.normal(rng.choice([0.0, 0.06, -0.1]), 0.08, 40)
    expected = ("undecided", None)
    for n in range(8, 41):
        low, high = confidence_sequence(d[:n], 0.1)
        if -RULE.margin < low and high < RULE.margin:
            expected = ("equivalent", n)
        elif e_value(d[:n]) >= 20:
            expected = ("better" if d[:n].mean() < 0 else "worse", n)
        if expected[1]:
            break
    assert decide(d, RULE) == expected


def test_swapped_models_mirror_every_decision():
    d = np.random.default_rng(3).normal(0.05, 0.08, (300, 40))
    verdicts, replicates = decide_studies(d, RULE)
    mirrored, same = decide_studies(-d, RULE)
    swap = {"better": "worse", "worse": "better"}
    assert [swap.get(v, v) for v in verdicts] == mirrored.tolist()
    assert (replicates == same).all()
    assert {"worse", "equivalent"} <= set(verdicts)
    assert outlook(-d[0, :5], RULE) == outlook(d[0, :5], RULE)


def test_running_moments_are_those_of_each_prefix():
    d = 1e6 + np.random.default_rng(4).normal(0, 1e-3, (3, 20))
    means, deviations = running_moments(d)
    for n in range(2, 21):
        np.testing.assert_allclose(means[:, n - 1], d[:, :n].mean(axis=1), rtol=1e-15)
        np.testing.assert_allclose(deviations[:, n - 1], d[:, :n].std(axis=1, ddof=1), rtol=1e-6)
    assert (deviations[:, 0] == 0).all()


def test_differences_without_spread():
    assert decide(np.zeros(8), RULE) == ("equivalent", 8)
    assert outlook(np.zeros(3), RULE) == (5.0, 1.0)
    for refused in (decide, outlook):
        with pytest.raises(InputError, match=r"differ from zero by 0.2 without any spread"):
            refused(np.full(8, 0.2), RULE)
        with pytest.raises(InputError, match="'differences' has shape"):
            refused([0.1], RULE)


def test_no_further_replicates_once_decided_or_at_the_last_look():
    assert outlook(study(0.0, 0.02), RULE) == (0.0, 1.0)
    assert outlook(study(0.05, 0.3), RULE) == (0.0, 0.0)


def test_the_outlook_of_a_well_known_spread_is_what_such_studies_take():
    """Many replicates fix mean and spread, so that plug-in studies that go on take as long."""
    # 60 undecided replicates within a longer rule: mean .045 and sd .2 are nearly known.
    rule = StoppingRule(margin=RULE.margin, last_look=200)
    d = study(0.045, 0.2, 60)
    assert decide(d, rule).verdict == "undecided"
    found = outlook(d, rule)
    rng = np.random.default_rng(5)
    sd, n = d.std(ddof=1), len(d)
    mu = rng.normal(d.mean(), sd / math.sqrt(n), (4000, 1))
    going_on = np.concatenate(
        [np.tile(d, (4000, 1)), mu + sd * rng.standard_normal((4000, 140))], axis=1
    )
    verdicts, replicates = decide_studies(going_on, rule)
    assert found.further == pytest.approx((replicates - n).mean(), rel=0.05)
    assert found.decided == pytest.approx((verdicts != "undecided").mean(), abs=0.04)


def test_the_outlook_grows_with_the_spread_and_ends_at_the_last_look():
    small, large, vast = (outlook(study(0.0, sd, 4), RULE) for sd in (0.02, 0.15, 3.0))
    assert 4 <= small.further < large.further < vast.further <= 36
    assert small.decided > large.decided > vast.decided
    # Only the spread in units of the margin matters.
    wide = StoppingRule(margin=100 * RULE.margin)
    assert outlook(100 * study(0.0, 0.15, 4), wide) == pytest.approx(large, rel=1e-3)


def table(name):
    """Return a committed table with its numbers as floats."""

    def number(text):
        try:
            return float(text)
        except ValueError:
            return text

    rows = read_csv(BENCHMARKS / name)
    return [{key: number(value) for key, value in row.items()} for row in rows]


def test_the_committed_table_keeps_its_promises():
    """At most 5% of 10,000 studies are wrong, wherever one stops, up to skewness 1."""
    rows = table("decision.csv")
    assert {(row["errors"], row["truth"], row["sd"]) for row in rows if row["errors"] != "A/A"} == {
        (errors, truth, sd)
        for errors in PROMISED | {"skewness 2", "heavy tails (t, 5 df)"}
        for truth in ("no effect", "upper margin", "lower margin")
        for sd in (0.04, 0.08, 0.16)
    }
    for row in rows:
        assert row["studies"] >= 10_000
        assert row["wrong"] <= row["wrong_at_any_look"]
        shares = [row[key] for key in ("better", "worse", "equivalent", "undecided")]
        assert sum(shares) == pytest.approx(1, abs=1e-3)
        if row["errors"] != "skewness 2":
            assert row["wrong_at_any_look"] <= 0.05
            assert row["wrong_by_t_tests"] > 0.1, "what the sequences are for"


def test_the_declared_prior_is_the_shortest_that_keeps_the_promise():
    rows = table("prior.csv")
    assert len(rows) >= 10
    assert rows[0]["prior_variance"] == 0.1
    assert rows[-1]["prior_variance"] == 10
    assert benchmark.best_prior([benchmark.Prior(**row) for row in rows]) == PRIOR_VARIANCE


@pytest.mark.parametrize("errors", sorted(benchmark.ERRORS))
def test_a_fresh_simulation_finds_the_rates_of_the_table(errors):
    """2,000 studies from other seeds; the check within compares the first with the public words."""
    studies = 2000
    z = benchmark.ERRORS[errors](np.random.default_rng(1000), (studies, 40))
    rule = StoppingRule(margin=benchmark.MARGIN)
    for row in table("decision.csv"):
        if row["errors"] != errors or row["sd"] == 0.04:
            continue
        fresh = benchmark.rate(errors, row["truth"], row["sd"], z, rule)
        for key in ("better", "worse", "equivalent", "wrong", "wrong_at_any_look"):
            share = max(row[key], 0.001)
            error = math.sqrt(share * (1 - share) * (1 / studies + 1 / row["studies"]))
            assert getattr(fresh, key) == pytest.approx(row[key], abs=4 * error), (row, key)


def test_looks_are_those_of_the_rule():
    d = np.random.default_rng(6).normal(0, 0.08, (5, 50))
    assert look(d, RULE)[1].shape == (5, 33)
    assert look(d[:, :8], RULE)[0].shape == (5, 1)
    verdicts, replicates = decide_studies(d[:, :6], RULE)
    assert verdicts.tolist() == ["undecided"] * 5
    assert replicates.tolist() == [6] * 5
