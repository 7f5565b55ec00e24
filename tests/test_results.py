"""A result that something else changed is refused by a sentence that names the file and the key."""

import json
import shutil
from functools import reduce
from operator import getitem

import pytest

from chimera.files.artifacts import read_csv, write_csv
from chimera.interface.errors import InputError
from chimera.stages import aggregate, figures, report, stats

EVALUATE, PROBE = "metrics/runs/unet/0/evaluate.json", "metrics/runs/unet/0/twonn.json"
ABOUT, VERIFY = "checkpoints/unet/0/provenance.yaml", "metrics/verify.json"
WRONG = [
    (EVALUATE, None, "is None, expected a mapping"),
    (EVALUATE, [], r"is \[\], expected a mapping"),
    (EVALUATE, {}, "has no 'model'"),
    (EVALUATE, {"model": None}, r"\.model is None, expected a mapping"),
    (EVALUATE, {"model": {}}, r"has no 'cfd2d_ind_v2'"),
    (EVALUATE, {"model": {"cfd2d_ind_v2": []}}, r"cfd2d_ind_v2 is \[\], expected a mapping"),
    (EVALUATE, {"model": {"cfd2d_ind_v2": {"nrmse": 1.0}}}, r"nrmse is 1\.0, expected a list"),
    (EVALUATE, {"model": {"a": {"nrmse": [1, None]}}}, r"nrmse\[1\] is None, expected a number"),
    (PROBE, None, "is None, expected a mapping"),
    (PROBE, {"dimension": "three", "rows": []}, r"dimension is 'three', expected a number"),
    (PROBE, {"dimension": 3.0}, "has no 'rows'"),
    (PROBE, {"rows": {}}, r"rows is {}, expected a list"),
    (PROBE, {"rows": [{"depth": None}]}, r"rows\[0\]\.depth is None, expected"),
    (ABOUT, "text", "is 'text', expected a mapping"),
    (ABOUT, {}, "has no 'bytes'"),
    (VERIFY, None, "is None, expected a mapping"),
    (VERIFY, {"files": "nine"}, r"files is 'nine', expected a whole number"),
    (VERIFY, {"files": 9}, "has no 'unfrozen'"),
]
# Of what a finished study has: a place in it, another value there, and the stages that refuse it.
CHANGED = [
    ("metrics/stats.json", (), None, "is None, expected a mapping", (figures, report)),
    ("metrics/stats.json", ("replicates",), "few", r"replicates is 'few', expected", (report,)),
    ("metrics/stats.json", ("fractal_unet",), [], r"fractal_unet is \[\], ex", (figures, report)),
    ("metrics/stats.json", ("fractal_unet", "verdict"), None, "verdict is None", (report,)),
    ("metrics/stats.json", ("fractal_unet", "gap"), "small", "gap is 'small'", (figures, report)),
    ("metrics/stats.json", ("fractal_unet", "gap", "p"), None, "gap.p is None", (figures, report)),
    ("metrics/stats.json", ("spearman",), None, "spearman is None, expected", (report,)),
    ("metrics/parity.json", ("tolerance",), {}, r"tolerance is {}, exp", (figures, report)),
    ("metrics/parity.json", ("unet",), 3, "unet is 3, expected a mapping", (figures, report)),
    ("metrics/parity.json", ("unet", "macs"), "many", "macs is 'many'", (figures, report)),
    ("metrics/summary.json", ("unet", "ind"), 0.5, r"unet.ind is 0\.5", (report,)),
    ("metrics/summary.json", ("unet", "ind", "nrmse"), None, "nrmse is None", (report,)),
    ("metrics/probes.json", ("unet",), [], r"unet is \[\], expected a mapping", (report,)),
    ("metrics/verify.json", ("files",), None, "files is None, expected", (report,)),
    ("tuning/metrics.json", ("unet",), "none", "unet is 'none', expected", (report,)),
]


@pytest.fixture(scope="module")
def study(finished, tmp_path_factory):
    """Return a finished workspace of its own."""
    folder = tmp_path_factory.mktemp("results") / "chimera"
    shutil.copytree(finished, folder, symlinks=True)
    return folder


@pytest.mark.parametrize(("name", "content", "sentence"), WRONG)
def test_a_result_of_another_form_is_one_sentence(study, monkeypatch, name, content, sentence):
    monkeypatch.chdir(study)
    monkeypatch.setattr("sys.argv", ["stage"])
    path, stage = study / name, stats if name == VERIFY else aggregate
    before = path.read_bytes()
    path.unlink()
    path.write_text(json.dumps(content))
    try:
        with pytest.raises(InputError, match=sentence) as caught:
            stage.main()
        assert str(caught.value).startswith(name)
        assert "\n" not in str(caught.value)
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda rows: rows.append({}), r"^spectra\.json: rows differ in their columns, expected"),
        (lambda rows: rows[0].update(planted=1), r"^spectra\.json: rows differ in their columns"),
        (lambda rows: rows[1].pop("energy"), r"^spectra\.json: rows differ in their columns, exp"),
        (lambda rows: rows[0].update(energy="much"), "spectra.csv: energy in line 2 is 'much', ex"),
    ],
)
def test_rows_of_another_form_are_one_sentence(study, monkeypatch, change, sentence):
    monkeypatch.chdir(study)
    monkeypatch.setattr("sys.argv", ["stage"])
    path, table = study / "metrics/runs/unet/0/spectra.json", study / "metrics/tables/spectra.csv"
    before, full = path.read_bytes(), table.read_bytes()
    content = json.loads(before)
    change(content["rows"])
    path.unlink()
    path.write_text(json.dumps(content))
    try:
        with pytest.raises(InputError, match=sentence):
            aggregate.main()
        assert table.read_bytes() == full
    finally:
        path.write_bytes(before)


def test_a_number_beyond_floats_in_rows_is_one_sentence(study, monkeypatch):
    monkeypatch.chdir(study)
    monkeypatch.setattr("sys.argv", ["stage"])
    path = study / PROBE
    before = path.read_bytes()
    path.unlink()
    path.write_text('{"rows": [{"depth": 1e999}]}')
    try:
        with pytest.raises(InputError, match=r"twonn\.json.rows\[0\]\.depth is inf, expected"):
            aggregate.main()
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize(("name", "place", "value", "sentence", "stages"), CHANGED)
def test_a_study_with_another_value_is_neither_drawn_nor_told(
    study, monkeypatch, name, place, value, sentence, stages
):
    monkeypatch.chdir(study)
    path = study / name
    before = path.read_bytes()
    content = {"whole": json.loads(before)}
    *outer, last = ("whole", *place)
    reduce(getitem, outer, content)[last] = value
    path.unlink()
    path.write_text(json.dumps(content["whole"]))
    try:
        for stage in stages:
            with pytest.raises(InputError, match=sentence) as caught:
                stage.main()
            assert str(caught.value).startswith(name)
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize(
    ("name", "column", "stages"),
    [
        ("metrics/errors.csv", "nrmse", (stats, figures)),
        ("metrics/statistics.csv", "value", (stats,)),
        ("tuning/trials.csv", "lr", (figures, report)),
        ("metrics/tables/rollout.csv", "nrmse", (figures,)),
    ],
)
def test_a_word_in_a_column_of_numbers_is_one_sentence(study, monkeypatch, name, column, stages):
    monkeypatch.chdir(study)
    monkeypatch.setattr("sys.argv", ["stage"])
    path = study / name
    before = path.read_bytes()
    rows = read_csv(path)
    path.unlink()
    write_csv(path, [rows[0] | {column: "word"}, *rows[1:]])
    try:
        for stage in stages:
            sentence = f"{name}: {column} in line 2 is 'word', expected a number"
            with pytest.raises(InputError, match=sentence):
                stage.main()
    finally:
        path.write_bytes(before)
