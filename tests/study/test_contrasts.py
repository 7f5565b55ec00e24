"""Contrasts of constructed runs, by hand; mirrored and reordered runs give what they must."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from chimera.files.artifacts import read_csv
from chimera.interface.errors import InputError
from chimera.study.contrasts import (
    contrast,
    contrasts,
    correlations,
    interval_coverage,
)
from chimera.study.endpoints import differences, endpoint, endpoint_names

AXES = ["ind", "ood_viscosity", "ood_decay"]


def errors(scale, axes=AXES):
    """Return a run with nRMSE scale x (1, e) on IND, three and five times that on the OOD axes."""

    def row(factor):
        errors = [scale * factor, scale * factor * math.e]
        return {"nrmse": errors, "rmse_high": [v / 2 for v in errors], "valid_time": [4.0, 7.0]}

    return {axis: row(factor) for axis, factor in zip(axes, (1, 3, 5), strict=False)}


def test_endpoints_by_hand():
    run = errors(0.1)
    base = math.log(0.1) + 0.5  # the mean of ln s and ln (s e)
    expected = {
        "ind_nrmse": base,
        "ind_rmse_high": base - math.log(2),
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
    assert endpoint_names(AXES[:1]) == ["ind_nrmse", "ind_rmse_high", "ind_valid_time"]
    for name in ("ood_nrmse", "gap", "ood_decay_nrmse", "nonsense", "nrmse"):
        with pytest.raises(InputError, match=f"the endpoint is '{name}', expected one of ind_nrm"):
            endpoint(name, errors(0.1, AXES[:1]))


def test_contrast_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 5))
    result = contrast(x, y, 0.05)
    reference = stats.ttest_rel(x, y)
    assert result["estimate"] == pytest.approx((x - y).mean())
    assert result["p"] == pytest.approx(reference.pvalue)
    interval = reference.confidence_interval(0.95)
    assert (result["ci_low"], result["ci_high"]) == pytest.approx((interval.low, interval.high))
    assert result["cohens_dz"] == pytest.approx((x - y).mean() / (x - y).std(ddof=1))
    assert result["sign_flip_p_smallest"] == 1 / 16
    assert result["sign_flip_p"] >= 1 / 16
    assert result["n"] == 5


def test_differences_are_those_of_one_model_in_the_order_of_replicates():
    runs = {("big", r): errors(scale) for r, scale in enumerate((0.1, 0.4))}
    runs |= {("unet", r): errors(0.2) for r in (0, 1)} | {("persistence", 0): errors(3.0)}
    found = differences("ood_nrmse", runs, "big", "unet")
    assert found == pytest.approx([math.log(0.5), math.log(2.0)])


def endpoints(seed=1, n=4):
    rng = np.random.default_rng(seed)
    return {name: tuple(rng.standard_normal((2, n))) for name in ("primary", "a", "b", "c")}


def test_q_is_over_the_secondary_family_alone():
    result = contrasts(endpoints(), "primary", 0.05)
    family = [result[name]["p"] for name in ("a", "b", "c")]
    expected = stats.false_discovery_control(family)
    assert [result[name]["q"] for name in ("a", "b", "c")] == pytest.approx(expected.tolist())
    assert result["primary"]["q"] == result["primary"]["p"]


def test_swapped_models_mirror_every_contrast_exactly():
    plain = contrasts(endpoints(), "primary", 0.05)
    swapped = contrasts({k: (y, x) for k, (x, y) in endpoints().items()}, "primary", 0.05)
    for name, row in plain.items():
        other = swapped[name]
        for key in ("estimate", "cohens_dz", "hedges_gz"):
            assert other[key] == -row[key]
        for low, high in (("ci_low", "ci_high"), ("bca_low", "bca_high")):
            assert (other[low], other[high]) == (-row[high], -row[low])
        for key in ("p", "q", "sign_flip_p", "n"):
            assert other[key] == row[key]


def test_order_of_replicates_changes_nothing():
    order = np.array([2, 0, 3, 1])
    permuted = {k: (x[order], y[order]) for k, (x, y) in endpoints().items()}
    plain, other = (contrasts(e, "primary", 0.05) for e in (endpoints(), permuted))
    for name, row in plain.items():
        assert other[name] == pytest.approx(row, rel=1e-12)


def test_coverage_is_the_worst_of_the_scenarios_in_question():
    rows = [
        {"procedure": p, "replicates": n, "scenario": s, "coverage": c}
        for p, n, s, c in (
            ("paired t", "3", "fixed, a", "0.95"),
            ("paired t", "3", "fixed, b", "0.94"),
            ("paired t", "3", "sampled, a", "0.80"),
            ("paired t", "5", "fixed, a", "0.96"),
            ("BCa", "3", "fixed, a", "0.71"),
            ("sign flip", "3", "fixed, a", "1.0"),
        )
    ]
    assert interval_coverage(rows, 4) == {"ci_coverage": 0.94, "bca_coverage": 0.71}
    assert interval_coverage(rows, 10) == {"ci_coverage": 0.96}
    assert interval_coverage(rows, 2) == {}


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
    result = correlations(probes | withheld, gaps, 0.05)
    assert result.pop("withheld") == 1
    assert list(result) == ["twonn.id", "ib.mi"]
    assert result["ib.mi"]["rho"] == pytest.approx(1.0)
    assert result["ib.mi"]["p"] == pytest.approx(2 / math.factorial(7))
    expected = stats.spearmanr(probes["twonn.id"], gaps).statistic
    assert result["twonn.id"]["rho"] == pytest.approx(expected)
    q = stats.false_discovery_control([row["p"] for row in result.values()])
    assert [row["q"] for row in result.values()] == pytest.approx(q.tolist())
    assert correlations({}, gaps, 0.05) == {"withheld": 0}
    assert correlations({"ib.mi": [1.0, 2.0]}, gaps[:2], 0.05) == {"withheld": 1}
