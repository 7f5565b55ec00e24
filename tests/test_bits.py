"""Digests of a finished run tell which kind of output differs, and the page keeps one row each."""

import copy
import sys

import pytest
import yaml

from workspaces import ROOT

sys.path.append(str(ROOT / "benchmarks"))

import bits

LOCK = {
    "stages": {
        "generate@a": {"outs": [{"path": "data/a", "md5": "1.dir"}]},
        "train@unet-0": {"outs": [{"path": "checkpoints/unet/0", "md5": "2.dir"}]},
        "evaluate@unet-0": {"outs": [{"path": "metrics/runs/unet/0/evaluate.json", "md5": "3"}]},
        "aggregate": {
            "outs": [
                {"path": "metrics/errors.csv", "md5": "4"},
                {"path": "metrics/tables", "md5": "5.dir"},
                {"path": "plots/tables", "md5": "6.dir"},
            ]
        },
        "figures": {"outs": [{"path": "plots/png", "md5": "7.dir"}]},
        "check": {"deps": []},
    }
}
CHANGES = {
    "generate@a": "data",
    "train@unet-0": "checkpoints",
    "evaluate@unet-0": "runs",
    "figures": "pictures",
}


@pytest.mark.parametrize(("stage", "kind"), CHANGES.items())
def test_a_changed_output_changes_its_own_digest(stage, kind):
    changed = copy.deepcopy(LOCK)
    changed["stages"][stage]["outs"][0]["md5"] = "0"
    before, after = bits.digests(LOCK), bits.digests(changed)
    assert {name for name in before if before[name] != after[name]} == {kind}


def test_the_order_of_stages_changes_none_and_an_unfinished_run_is_refused():
    turned = {"stages": dict(reversed(LOCK["stages"].items()))}
    assert bits.digests(turned) == bits.digests(LOCK)
    with pytest.raises(ValueError, match="no output of the kind pictures"):
        bits.digests({"stages": {k: v for k, v in LOCK["stages"].items() if k != "figures"}})


def test_a_page_has_one_row_of_each_processor():
    table = f"before\n\n{bits.BEGIN}{bits.RULE}"
    page = f"{table}| one | c | r | x |\n| two | c | r | y |\n| old | c | q | z |\n\nafter\n"
    row = "| one | c | r | w |\n"
    assert bits.with_row(page, row) == f"{table}| two | c | r | y |\n{row}\nafter\n"
    same = page.replace("z", "w")  # another run that gave the same bytes
    kept = "| two | c | r | y |\n| old | c | q | w |\n"
    assert bits.with_row(same, row) == f"{table}{kept}{row}\nafter\n"
    with pytest.raises(ValueError, match="has no table of digests"):
        bits.with_row("nothing\n", row)


def test_a_run_is_its_sources_parameters_and_versions():
    paths = ("constraints-numerics.txt", "params.yaml", "src/chimera/solver", "data")
    before = dict.fromkeys(paths, "1")

    def digest(**changed):
        deps = [{"path": path, "md5": md5} for path, md5 in (before | changed).items()]
        return bits.run_of({"stages": {"validate": {"deps": deps}}})

    assert digest(data="2") == digest()
    assert len({digest(), *(digest(**{path: "2"}) for path in paths[:3])}) == 4
    listed = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["validate"]["deps"]
    assert {*paths[:3]} <= {*listed}, "those of the run are in dvc.lock"


def test_a_processor_has_a_name(tmp_path):
    info = tmp_path / "cpuinfo"
    info.write_text("cpu family\t: 25\nmodel\t\t: 1\nmodel name\t: AMD EPYC\n")
    assert bits.processor(info) == "AMD EPYC, family 25 model 1"
    assert bits.processor(tmp_path / "absent")


def test_all_rows_of_the_docs_are_of_the_committed_run_and_agree_within_a_class():
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text())
    _, table = (ROOT / "docs/bits.md").read_text().split(bits.BEGIN + bits.RULE)
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")]
    assert bits.run_of(lock) in {row[2] for row in rows}
    committed = yaml.safe_load((ROOT / "metrics/provenance.yaml").read_text())["bytes"]
    found = [row[3:] for row in rows if row[1] == committed]
    assert [list(bits.digests(lock).values())] * len(found) == found != []
