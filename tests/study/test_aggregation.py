"""The summary of constructed evaluations, by hand."""

import csv
import math
import statistics
from pathlib import Path

import pytest

from chimera.interface.errors import InputError
from chimera.study.aggregation import read_statistics, summarise, summarise_probes
from chimera.study.axes import axis_name
from chimera.study.error_table import METRICS, error_rows, evaluated, frame_rows, read_errors
from chimera.study.labels import model_label
from chimera.study.tables import Digest, digest, latex_errors

ROOT = Path(__file__).parents[2]

DATASETS = ["cfd2d_ind_v1", "cfd2d_ood_viscosity_v1", "cfd2d_ood_decay_v1"]


def evaluation(error):
    """Return an evaluation whose values are multiples of `error`."""

    def by_dataset(factor):
        return {
            dataset: {name: [factor * level, 3 * factor * level] for name in METRICS}
            | {"frame_nrmse": [factor, 2 * factor], "frame_correlation": [0.9, 0.8]}
            for level, dataset in enumerate(DATASETS, start=1)
        }

    return {"model": by_dataset(error), "persistence": by_dataset(7.0), "linear": by_dataset(8.0)}


RUNS = {("a", 0): evaluation(1.0), ("a", 1): evaluation(2.0), ("b", 0): evaluation(5.0)}


def test_summary_by_hand():
    """Axis l has per-trajectory values f l and 3 f l, so mean 2 f l; the OOD axes are 2 and 3.

    Their mean logarithm is ln f l + ln 3 / 2, and that of axis l less that of IND ln l.
    """
    summary = summarise(evaluated(RUNS, DATASETS))
    assert summary["a"]["ind"]["nrmse"] == pytest.approx(2 * 1.5)
    assert summary["a"]["ood_viscosity"]["nrmse"] == pytest.approx(4 * 1.5)
    assert summary["a"]["ood"]["nrmse"] == pytest.approx(5 * 1.5)
    assert summary["a"]["ind"]["nrmse_sd"] == pytest.approx(2 * math.sqrt(0.5))
    assert summary["a"]["gap"] == pytest.approx((math.log(2) + math.log(3)) / 2)
    assert summary["a"]["gap_sd"] == pytest.approx(0.0, abs=1e-12)
    assert summary["persistence"]["ind"]["valid_time"] == pytest.approx(14.0)
    assert list(summary) == ["a", "b", "persistence", "linear"]
    assert list(evaluated(RUNS, DATASETS)) == [*RUNS, ("persistence", 0), ("linear", 0)]


def test_a_baseline_that_is_not_on_every_axis_has_no_mean_over_axes():
    known = {"linear": {d: v for d, v in evaluation(1.0)["linear"].items() if d != DATASETS[2]}}
    found = evaluated({cell: run | known for cell, run in RUNS.items()}, DATASETS)
    assert list(found["linear", 0]) == ["ind", "ood_viscosity"]
    summary = summarise(found)
    assert list(summary["linear"]) == ["ind", "ood_viscosity"]
    whole = summarise(evaluated(RUNS, DATASETS))
    assert {name: row for name, row in summary.items() if name != "linear"} == {
        name: row for name, row in whole.items() if name != "linear"
    }
    assert summary["linear"]["ind"] == whole["linear"]["ind"]
    last = latex_errors(summary, ["a", "b"]).splitlines()[-3]
    assert last.split(" & ")[0] == "linear"
    assert last.endswith(r"$32.0$ & withheld & withheld \\")  # 8.0 x 2 (1 + 3) / 2


def test_a_small_table_has_means_over_what_it_does_not_keep():
    rows = [
        {"model": model, "replicate": replicate, "axis": axis, "frame": frame, "nrmse": value}
        for model, replicate, axis, frame, value in (
            ("a", "0", "ind", "1", "1.0"),
            ("a", "1", "ind", "1", "4.0"),
            ("a", "0", "ind", "2", "9.0"),
            ("b", "0", "ind", "1", "2.0"),
            ("a", "0", "ood", "1", "7.0"),
        )
    ]
    kept = Digest(("model", "frame"), ("nrmse",), {"axis": ("ind",)})
    assert digest(rows, kept) == [
        {"model": "a", "frame": "1", "nrmse": 2.5},
        {"model": "a", "frame": "2", "nrmse": 9.0},
        {"model": "b", "frame": "1", "nrmse": 2.0},
    ]


def test_the_latex_table_has_a_row_each_with_means_and_spreads_over_replicates():
    """Means of trajectories on axis l are 2 f l: of `a` 2 l and 4 l, so 3 l with sd l sqrt 2."""
    text = latex_errors(summarise(evaluated(RUNS, DATASETS)), ["a", "b"])
    lines = text.splitlines()
    assert lines[1:3] == [r"\begin{tabular}{lrrrr}", r"\toprule"]
    assert lines[3] == r" & IND & OOD viscosity & OOD decay & OOD \\"
    cells = [rf"${3 * level:.{digits}f} \pm {level * math.sqrt(2):.{digits}f}$"
             for level, digits in ((1, 2), (2, 2), (3, 2))]  # fmt: skip
    cells.append(rf"$7.50 \pm {2.5 * math.sqrt(2):.2f}$")
    assert lines[5] == " & ".join(["a", *cells]) + r" \\"
    assert lines[6] == r"b & $10.0$ & $20.0$ & $30.0$ & $25.0$ \\"
    assert lines[8].startswith("persistence & $14.0$")
    rules = [line for line in lines if line.startswith("\\") and "tabular" not in line]
    assert rules == [r"\toprule", r"\midrule", r"\midrule", r"\bottomrule"]


def test_the_committed_latex_table_is_that_of_the_committed_errors():
    with (ROOT / "metrics/errors.csv").open() as file:
        rows = list(csv.DictReader(file))
    runs = {}
    for row in rows:
        key = row["model"], row["axis"], row["replicate"]
        runs.setdefault(key, []).append(float(row["nrmse"]))
    axes = list(dict.fromkeys(row["axis"] for row in rows))
    table = {}
    for line in (ROOT / "plots/table_errors.tex").read_text().splitlines():
        name, *cells = line.removesuffix(r" \\").split(" & ")
        if cells and name:
            table[name] = cells
    models = list(dict.fromkeys(row["model"] for row in rows))
    assert list(table) == [model_label(model) for model in models]
    for model in models:
        means = {
            axis: [statistics.fmean(values) for (m, a, _), values in runs.items()
                   if (m, a) == (model, axis)]
            for axis in axes
        }  # fmt: skip
        ood = [statistics.fmean(column) for column in zip(*list(means.values())[1:], strict=True)]
        for cell, found in zip(table[model_label(model)], [*means.values(), ood], strict=True):
            number, _, spread = cell.strip("$").partition(r" \pm ")
            half = 0.51 * 10.0 ** -len(number.partition(".")[2])
            assert float(number) == pytest.approx(statistics.fmean(found), abs=half)
            assert bool(spread) == (len(found) > 1)
            if spread:
                assert float(spread) == pytest.approx(statistics.stdev(found), abs=half)


def test_one_replicate_has_no_spread():
    summary = summarise(evaluated(RUNS, DATASETS))
    for row in (summary["b"]["ind"], summary["b"], summary["persistence"]["ind"]):
        assert not any(name.endswith("_sd") for name in row)


def test_without_ood_axes_there_is_no_gap():
    summary = summarise(evaluated({("a", 0): evaluation(1.0)}, DATASETS[:1]))
    assert set(summary["a"]) == {"ind"}


def test_the_gap_is_the_mean_of_the_replicates_own_gaps():
    """Replicates with gaps ln 2 and ln 4; the mean errors 1.5 and 5 would give ln 3.33."""
    runs = {}
    for replicate, (ind, ood) in enumerate([(1.0, 2.0), (2.0, 8.0)]):
        values = {"cfd2d_ind_v1": ind, "cfd2d_ood_decay_v1": ood}
        table = {d: {name: [v] for name in METRICS} for d, v in values.items()}
        runs["a", replicate] = {"model": table, "persistence": table, "linear": table}
    row = summarise(evaluated(runs, ["cfd2d_ind_v1", "cfd2d_ood_decay_v1"]))["a"]
    assert row["gap"] == pytest.approx((math.log(2) + math.log(4)) / 2)
    assert row["gap_sd"] == pytest.approx((math.log(4) - math.log(2)) / math.sqrt(2))


def test_keys_are_those_that_people_compare():
    summary = summarise(evaluated(RUNS, DATASETS))
    assert set(summary["b"]) == {"ind", "ood_viscosity", "ood_decay", "ood", "gap"}
    assert set(summary["b"]["ood"]) == set(METRICS)
    assert set(summary["a"]["ood"]) == set(METRICS) | {f"{name}_sd" for name in METRICS}
    assert set(summary["a"]) == set(summary["b"]) | {"gap_sd"}


def test_two_datasets_of_one_axis_are_refused():
    both = ["cfd2d_ind_v1", "cfd2d_ood_decay_v1", "cfd2d_ood_decay_v2"]
    table = {dataset: {name: [1.0] for name in METRICS} for dataset in both}
    runs = {("a", 0): {"model": table, "persistence": table, "linear": table}}
    with pytest.raises(InputError, match=r"cfd2d_ood_decay_v2, expected one for each axis"):
        evaluated(runs, both)


def test_rows_hold_every_run_axis_and_frame():
    rows = error_rows(RUNS, DATASETS)
    assert len(rows) == (3 + 2) * 3 * 2
    assert rows[6]["replicate"] == 1
    assert rows[6]["nrmse"] == pytest.approx(2.0)
    assert [row["trajectory"] for row in rows[:3]] == [0, 1, 0]
    assert rows[1]["nrmse"] == pytest.approx(3.0)
    read = read_errors([{name: str(value) for name, value in row.items()} for row in rows])
    assert read["b", 0]["ood_decay"]["nrmse"] == pytest.approx([15.0, 45.0])
    assert summarise(read) == summarise(evaluated(RUNS, DATASETS))
    rows = frame_rows(RUNS, DATASETS)
    assert len(rows) == (3 + 2) * 3 * 2
    assert (rows[1]["frame"], rows[1]["nrmse"], rows[1]["correlation"]) == (2, 2.0, 0.8)


@pytest.mark.parametrize(
    ("name", "axis"),
    [
        ("cfd2d_ind_v1", "ind"),
        ("cfd2d_ood_viscosity_v1", "ood_viscosity"),
        ("cfd2d_ood_viscosity_v2s", "ood_viscosity"),
        ("my_flow", "ood_my_flow"),
        ("my_vs", "ood_my_vs"),
        ("ood_mach_v12", "ood_mach"),
        ("re_v", "ood_re_v"),
    ],
)
def test_axis_names(name, axis):
    assert axis_name(name, ["cfd2d_ind_v1"]) == axis


def test_probe_statistics_by_hand():
    """A statistic that a run withheld is averaged over the runs that have it."""
    runs = {
        ("a", 0): {"twonn": {"samples": 10.0, "ind": 2.0}, "rome": {"edits": 1.0}},
        ("a", 1): {"twonn": {"samples": 14.0}, "rome": {"edits": 1.0}},
        ("b", 0): {"twonn": {"samples": 3.0, "ind": 5.0}, "rome": {}},
    }
    assert summarise_probes(runs) == {
        "a": {
            "twonn": {"samples": 12.0, "samples_sd": math.sqrt(8), "ind": 2.0},
            "rome": {"edits": 1.0, "edits_sd": 0.0},
        },
        "b": {"twonn": {"samples": 3.0, "ind": 5.0}},
    }


def test_statistics_are_read_by_run_and_probe_and_those_of_other_studies_stay_out():
    params = {"model_names": ["a", "b"], "replicates": [0], "probe_names": ["p", "q"]}
    cells = [("a", 0, "p", "s", "0.5"), ("a", 1, "p", "s", "1"), ("c", 0, "p", "s", "2")]
    cells += [("b", 0, "gone", "s", "3"), ("b", 0, "q", "t", "4")]
    columns = ("model", "replicate", "probe", "statistic", "value")
    rows = [dict(zip(columns, map(str, row), strict=True)) for row in cells]
    assert read_statistics(rows, params) == {
        ("a", 0): {"p": {"s": 0.5}, "q": {}},
        ("b", 0): {"p": {}, "q": {"t": 4.0}},
    }
