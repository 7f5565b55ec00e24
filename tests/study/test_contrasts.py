"""Contrasts of constructed runs, by hand; mirrored and reordered runs give what they must."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from chimera.files.artifacts import read_csv
from chimera.interface.errors import InputError
from chimera.statistics import (
    confidence_sequence,
    detectable_effect,
    e_value,
    equivalence_p,
)
from chimera.study.contrasts import (
    compare,
    contrast,
    contrasts,
    correlations,
    variance_shares,
)
from chimera.study.decision import StoppingRule, decide
from chimera.study.endpoints import axis_weights, differences, endpoint, endpoint_names
from chimera.study.stopping import Analysis, Stopping

AXES = ["ind", "ood_viscosity", "ood_decay"]
RULE = StoppingRule(margin=math.log(1.1))


def errors(scale, axes=AXES):
    """Return a run with nRMSE scale x (1, e) on IND, three and five times that on the OOD axes."""

    def row(factor):
        errors = [scale * factor, scale * factor * math.e]
        return {"nrmse": errors, "valid_time": [4.0, 7.0]}

    return {axis: row(factor) for axis, factor in zip(axes, (1, 3, 5), strict=False)}


def test_endpoints_by_hand():
    run = errors(0.1)
    base = math.log(0.1) + 0.5  # the mean of ln s and ln (s e)
    expected = {
        "ind_nrmse": base,
        "ind_valid_time": 5.5,
        "ood_viscosity_nrmse": base + math.log(3),
        "ood_decay_nrmse": base + math.log(5),
        "ood_nrmse": base + math.log(15) / 2,
        "gap": math.log(15) / 2,
    }
    assert set(endpoint_names(AXES)) == set(expected)
    for name, value in expected.items():
        assert endpoint(name, run) == pytest.approx(value)


def test_without_ood_axes_their_endpoints_are_absent():
    assert endpoint_names(AXES[:1]) == ["ind_nrmse", "ind_valid_time"]
    for name in ("ood_nrmse", "gap", "ood_decay_nrmse", "nonsense", "nrmse"):
        with pytest.raises(InputError, match=f"the endpoint is '{name}', expected one of ind_nrm"):
            endpoint(name, errors(0.1, AXES[:1]))


def test_contrast_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 5))
    result = contrast(x, y, RULE, 0.8)
    reference = stats.ttest_rel(x, y)
    assert result["estimate"] == pytest.approx((x - y).mean())
    assert result["p"] == pytest.approx(reference.pvalue)
    interval = reference.confidence_interval(0.95)
    assert (result["ci_low"], result["ci_high"]) == pytest.approx((interval.low, interval.high))
    assert result["cohens_dz"] == pytest.approx((x - y).mean() / (x - y).std(ddof=1))
    assert result["sign_flip_p_smallest"] == 1 / 16
    assert result["sign_flip_p"] >= 1 / 16
    assert result["n"] == 5
    d = x - y
    assert (result["cs_low"], result["cs_high"]) == tuple(confidence_sequence(d))
    assert result["e_value"] == e_value(d)
    assert result["p_equivalence"] == equivalence_p(d, RULE.margin)
    assert result["detectable"] == pytest.approx(detectable_effect(5) * d.std(ddof=1))


def test_the_sequence_is_that_of_the_declared_prior_and_level():
    x, y = np.random.default_rng(1).standard_normal((2, 12))
    rule = StoppingRule(margin=0.1, alpha=0.1, prior_variance=1.0)
    result = contrast(x, y, rule, 0.8)
    expected = confidence_sequence(x - y, 0.1, prior_variance=1.0)
    assert (result["cs_low"], result["cs_high"]) == tuple(expected)
    assert result["e_value"] == e_value(x - y, prior_variance=1.0)


def test_differences_are_those_of_one_model_in_the_order_of_replicates():
    runs = {("big", r): errors(scale) for r, scale in enumerate((0.1, 0.4))}
    runs |= {("unet", r): errors(0.2) for r in (0, 1)} | {("persistence", 0): errors(3.0)}
    found = differences("ood_nrmse", runs, "big", "unet")
    assert found == pytest.approx([math.log(0.5), math.log(2.0)])


def test_declared_weights_make_the_primary_endpoint():
    run, plain = errors(0.1), errors(0.2)
    weights = {"ood_viscosity": 3.0, "ood_decay": 1.0, "ood_wavenumber": 5.0}
    base = math.log(0.1) + 0.5
    expected = base + (3 * math.log(3) + math.log(5)) / 4
    assert endpoint("ood_nrmse", run, weights) == pytest.approx(expected)
    assert endpoint("gap", run, weights) == pytest.approx(expected - base)
    assert endpoint("ood_decay_nrmse", run, weights) == endpoint("ood_decay_nrmse", run)
    runs = {("big", 0): run, ("unet", 0): plain}
    assert differences("ood_nrmse", runs, "big", "unet", weights) == pytest.approx([-math.log(2)])
    # An axis that was not declared: all are alike.
    assert axis_weights({"ood_decay": 3.0}, AXES) == {"ood_viscosity": 0.5, "ood_decay": 0.5}
    assert endpoint("ood_nrmse", run, {"ood_decay": 3.0}) == pytest.approx(
        endpoint("ood_nrmse", run)
    )


LOOKS = Stopping(first_look=8, last_look=40, prior_variance=RULE.prior_variance)
PLAN = Analysis(
    alpha=0.05,
    margin=math.log(1.1),
    margin_frames=1.0,
    power=0.8,
    primary="primary",
    secondary=("a", "b", "ind_valid_time"),
    weights={},
    stopping=LOOKS,
)


def endpoints(seed=1, n=4):
    rng = np.random.default_rng(seed)
    return {name: tuple(rng.standard_normal((2, n))) for name in ("primary", *PLAN.secondary)}


def test_q_is_over_the_secondary_family_alone():
    result = contrasts(endpoints(), PLAN)
    family = [result[name]["p"] for name in PLAN.secondary]
    expected = stats.false_discovery_control(family)
    assert [result[name]["q"] for name in PLAN.secondary] == pytest.approx(expected.tolist())
    assert result["primary"]["q"] == result["primary"]["p"]


def without_q(result):
    return {name: {k: v for k, v in row.items() if k != "q"} for name, row in result.items()}


def test_a_secondary_difference_without_spread_has_no_row_and_counts_in_its_family():
    """Two runs may differ by the same number of frames; nothing measures the error of that."""
    pairs = endpoints() | {"ind_valid_time": (np.full(4, 5.25), np.full(4, 5.5))}
    result = contrasts(pairs, PLAN)
    others = [name for name in PLAN.secondary if name != "ind_valid_time"]
    assert set(result) == {PLAN.primary, *others}
    varied = {name: pairs[name] for name in result}
    assert without_q(result) == without_q(contrasts(varied, PLAN))
    # Benjamini & Hochberg 1995: q_(i) = min over j >= i of p_(j) m / j, and m is what was declared.
    family = [*sorted(result[name]["p"] for name in others), 1.0]
    steps = [p * len(PLAN.secondary) / j for j, p in enumerate(family, 1)]
    for name in others:
        assert result[name]["q"] == min(steps[family.index(result[name]["p"]) :])
    equal = contrasts(endpoints() | {"ind_valid_time": (np.full(4, 5.5),) * 2}, PLAN)
    assert equal["ind_valid_time"]["estimate"] == 0.0
    with pytest.raises(InputError, match="without any spread"):
        contrasts({PLAN.primary: (np.full(4, 1.0), np.full(4, 2.0))}, PLAN)


@pytest.mark.parametrize("step", [0.1, 0.0])
def test_a_difference_that_only_rounding_varies_has_no_spread(step):
    """Frames such as 10.1 - 10: all 0.1, or all 0, as far as their numbers can tell."""
    y = np.array([10.0, 11.0, 13.0, 10.5])
    x = y + step + np.array([0.0, 1.0, -1.0, 1.0]) * np.spacing(10.0)
    assert np.ptp(x - y) > 0
    assert np.abs(x - y - step).max() < 1e-14
    pairs = endpoints()
    beside = contrasts(pairs | {"a": (x, y)}, PLAN)
    assert ("a" in beside) == (step == 0)
    beside.pop("a", None)
    others = {name: pair for name, pair in pairs.items() if name != "a"}
    assert without_q(beside) == without_q(contrasts(others, PLAN))
    if not step:
        assert contrast(x, y, RULE) == contrast(y, y, RULE)
        primary = contrasts({PLAN.primary: (x, y)}, PLAN)[PLAN.primary]
        assert (primary["estimate"], primary["p"], primary["cohens_dz"]) == (0.0, 1.0, 0.0)
    # Ten times as much is no rounding.
    assert "a" in contrasts(pairs | {"a": (y + step + 20 * (x - y - step), y)}, PLAN)


def test_the_margin_of_the_valid_time_is_in_frames():
    pairs = endpoints()
    result = contrasts(pairs, PLAN)
    for name, (x, y) in pairs.items():
        margin = 1.0 if name == "ind_valid_time" else math.log(1.1)
        assert result[name]["p_equivalence"] == equivalence_p(x - y, margin)


@pytest.mark.parametrize("n", [3, 4, 9])
def test_swapped_models_mirror_every_contrast_exactly(n):
    plain = contrasts(endpoints(n=n), PLAN)
    swapped = contrasts({k: (y, x) for k, (x, y) in endpoints(n=n).items()}, PLAN)
    for name, row in plain.items():
        other = swapped[name]
        for key in ("estimate", "cohens_dz", "hedges_gz"):
            assert other[key] == -row[key]
        for low, high in (("ci_low", "ci_high"), ("bca_low", "bca_high")):
            assert (other[low], other[high]) == (-row[high], -row[low])
        if n > 3:
            assert (other["cs_low"], other["cs_high"]) == (-row["cs_high"], -row["cs_low"])
        else:
            assert row["cs_low"] == row["cs_high"] == other["cs_low"] == "unbounded"
        for key in ("p", "q", "sign_flip_p", "n", "p_equivalence", "e_value", "detectable"):
            assert other[key] == row[key]


def test_order_of_replicates_changes_no_contrast():
    order = np.array([2, 0, 3, 1])
    permuted = {k: (x[order], y[order]) for k, (x, y) in endpoints().items()}
    plain, other = (contrasts(e, PLAN) for e in (endpoints(), permuted))
    for name, row in plain.items():
        assert other[name] == pytest.approx(row, rel=1e-12)


def study(effects, replicates=12, spread=0.05, axes=AXES):
    """Return runs of unet and of models whose errors are exp(effect) times as large."""
    rng = np.random.default_rng(0)
    runs = {("unet", r): errors(0.1, axes) for r in range(replicates)}
    for model, effect in effects.items():
        for r in range(replicates):
            runs[model, r] = errors(0.1 * math.exp(effect + spread * rng.normal()), axes)
    return runs


DECLARED = replace(
    PLAN,
    primary="ood_nrmse",
    secondary=("ind_nrmse", "ood_decay_nrmse", "ood_viscosity_nrmse"),
)


def found(effects, replicates=12, plan=DECLARED, **kinds):
    runs = study(effects, replicates, **kinds)
    return compare(runs, list(effects), "unet", range(replicates), plan)


def test_each_model_has_the_verdict_of_the_rule():
    effects = {"good": -0.5, "bad": 0.5, "same": 0.0}
    report = found(effects)
    assert {m: rows["verdict"] for m, rows in report.items()} == {
        "good": "better",
        "bad": "worse",
        "same": "equivalent",
    }
    for model, rows in report.items():
        d = np.array(differences("ood_nrmse", study(effects), model, "unet"))
        assert (rows["verdict"], rows["decided_at"]) == decide(d, RULE)
        assert (rows["further"], rows["decision_probability"]) == (0.0, 1.0)
    # Holm over the three models, of the primary endpoint alone
    p = {model: rows["ood_nrmse"]["p"] for model, rows in report.items()}
    assert report["same"]["ood_nrmse"]["q"] == p["same"]
    assert report["good"]["ood_nrmse"]["q"] <= 3 * p["good"]
    assert max(report[m]["ood_nrmse"]["q"] / p[m] for m in p) == pytest.approx(3)
    assert report["good"]["ind_nrmse"]["q"] == pytest.approx(p["good"], rel=1e-6)


def test_few_replicates_are_undecided_with_an_outlook():
    rows = found({"good": -0.5}, replicates=3)["good"]
    assert rows["verdict"] == "undecided"
    assert "decided_at" not in rows
    assert 5 <= rows["further"] < 6
    assert rows["decision_probability"] > 0.95
    assert found({"good": -0.5}, replicates=1) == {"good": {"verdict": "undecided"}}
    assert found({}, replicates=3) == {}


def test_without_ood_axes_there_is_no_primary_endpoint_and_no_verdict():
    rows = found({"good": -0.5}, axes=AXES[:1])["good"]
    assert set(rows) == {"verdict", "ind_nrmse"}
    assert rows["verdict"] == "undecided"


def test_each_axis_has_its_share_of_the_variance():
    rng = np.random.default_rng(5)
    d = {"a": rng.normal(0, 1, 400), "b": rng.normal(0, 2, 400)}
    shares = variance_shares(d, {"a": 0.5, "b": 0.5})
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["a"] == pytest.approx(1 / 5, abs=0.1)
    assert variance_shares(d, {"a": 0.8, "b": 0.2})["a"] == pytest.approx(16 / 17 * 0.85, abs=0.15)
    assert variance_shares({"a": np.ones(3)}, {"a": 1.0}) == {}
    rows = found({"good": -0.5})["good"]
    # both axes of these runs have the same differences
    for axis in ("viscosity", "decay"):
        assert rows[f"ood_{axis}_nrmse"]["variance_share"] == pytest.approx(0.5)
    assert "variance_share" not in rows["ood_nrmse"]


def test_the_committed_table_keeps_its_promises():
    """At most 5% false positives of the primary test, and its interval covers, at every n."""
    table = Path(__file__).parents[2] / "benchmarks/calibration.csv"
    rows = [row for row in read_csv(table) if row["procedure"] == "paired t"]
    fixed = [row for row in rows if row["scenario"].startswith("fixed")]
    assert {row["replicates"] for row in fixed} == {"3", "5", "10"}
    for row in fixed:
        assert float(row["false_positive_rate"]) <= 0.05 + 3 * float(row["monte_carlo_se"])
        assert float(row["coverage"]) >= 0.92


def test_correlations_are_spearman_s_with_a_family_of_their_own():
    rng = np.random.default_rng(2)
    gaps = rng.standard_normal(7)
    probes = {"twonn.id": rng.standard_normal(7), "ib.mi": np.exp(gaps)}
    withheld = {"twonn.none": [None] * 6 + [1.0]}
    result = correlations(probes | withheld, gaps, ["a"] * 7, 0.05)
    counts = {name: result.pop(name) for name in ("withheld", "unattainable", "n", "models")}
    assert counts == {"withheld": 1, "unattainable": 0, "n": 7, "models": 1}
    assert result.pop("smallest_p") == pytest.approx(2 / math.factorial(7))
    assert list(result) == ["twonn.id", "ib.mi"]
    assert result["ib.mi"]["rho"] == pytest.approx(1.0)
    assert result["ib.mi"]["p"] == pytest.approx(2 / math.factorial(7))
    expected = stats.spearmanr(probes["twonn.id"], gaps).statistic
    assert result["twonn.id"]["rho"] == pytest.approx(expected)
    q = stats.false_discovery_control([row["p"] for row in result.values()])
    assert [row["q"] for row in result.values()] == pytest.approx(q.tolist())
    assert correlations({}, gaps, ["a"] * 7, 0.05) == {"withheld": 0}


def test_a_difference_between_models_makes_no_correlation():
    """Statistic and error are both larger in the second model, and go opposite ways within each."""
    rng = np.random.default_rng(0)
    errors = np.concatenate([rng.random(5), 10 + rng.random(5)])
    statistic = np.concatenate([-errors[:5], 100 - errors[5:]])
    found = correlations({"twonn.id": statistic}, errors, ["a"] * 5 + ["b"] * 5, 0.05)["twonn.id"]
    assert found["rho"] == pytest.approx(-1.0)
    assert found["p"] == pytest.approx(2 / 120**2)
    assert stats.spearmanr(statistic, errors).statistic > 0.3  # pooled over the models


def test_what_so_few_runs_cannot_show_is_withheld():
    """Three runs a model have 3!^2 = 36 orders, of which two are perfect: p is at least 1/18."""
    found = correlations({"a.b": range(6)}, [3.0, 2, 1, 6, 5, 4], ["u"] * 3 + ["f"] * 3, 0.05)
    assert found == {
        "n": 6, "models": 2, "withheld": 1, "unattainable": 1,
        "smallest_p": pytest.approx(1 / 18),
    }  # fmt: skip
