"""`make study`: looks in order, the first decision stands, and a killed study goes on."""

import json
import math
import re
import shutil

import numpy as np
import pytest
import yaml

from chimera.commands.study import DeclaredStudy, main, run_study
from chimera.files.artifacts import write_csv, write_json
from chimera.governance.plan import decisive
from chimera.governance.preregistration import read_preregistration
from chimera.interface.errors import InputError
from chimera.planning.composition import compose
from chimera.study.axes import axis_name
from chimera.study.decision import decide, rule_of
from chimera.study.error_table import METRICS
from workspaces import ROOT, call, commit, copy_tree, sentence

SPREAD = 0.16


class Pipeline:
    """What make and dvc would do: metrics of planted differences d (40,), FractalUNet to UNet."""

    def __init__(self, folder, differences):
        self.folder, self.differences = folder, differences
        self.called, self.lines, self.unfrozen = [], [], 0

    def params(self):
        return yaml.safe_load((self.folder / "params.yaml").read_text())

    def run(self, *command):
        params = self.params()
        self.called.append((*command, len(params["replicates"])))
        write_json(self.folder / "metrics/verify.json", {"unfrozen": self.unfrozen})
        axes = [axis_name(name, params["datasets"]) for name in params["datasets"]]
        rows = []
        for model in params["model_names"]:
            for r in params["replicates"]:
                error = math.exp(-2 + (self.differences[r] if model == "fractal_unet" else 0))
                run = {"model": model, "replicate": r, "trajectory": 0}
                rows += [run | {"axis": axis} | dict.fromkeys(METRICS, error) for axis in axes]
        write_csv(self.folder / "metrics/errors.csv", rows, digits=17)

    def study(self, **options):
        plan = read_preregistration()
        run_study(DeclaredStudy(plan), run=self.run, say=self.lines.append, **options)

    def trained(self):
        """Return the number of replicates of every run of cells, in order."""
        return [n for *command, n in self.called if "cells" in command]

    def asked(self):
        """Return the replicates that every run of cells is given, in order."""
        given = [command[-2] for command in self.called if "cells" in command]
        return [name.removeprefix("REPLICATES=") for name in given]


@pytest.fixture
def pipeline(tmp_path, monkeypatch):
    """Return a function that makes a work tree with the real conf/ and preregistration."""

    def make(mean=0.0, spread=SPREAD):
        shutil.copytree(ROOT / "conf", tmp_path / "conf")
        for name in ("params.yaml", "PREREGISTRATION.md"):
            shutil.copyfile(ROOT / name, tmp_path / name)
        call(tmp_path, "git", "init", "--quiet")
        commit(tmp_path)
        monkeypatch.chdir(tmp_path)
        z = np.random.default_rng(2).normal(size=40)
        return Pipeline(tmp_path, mean + spread * (z - z.mean()) / z.std())

    return make


def decided(pipeline):
    """Return the verdict and the replicates that the declared rule gives for all 40."""
    return decide(pipeline.differences, rule_of(read_preregistration()))


def test_a_study_looks_at_every_number_of_replicates_until_it_is_decided(pipeline):
    run = pipeline(mean=-0.13)
    run.study()
    verdict, n = decided(run)
    assert verdict == "better"
    assert 9 < n < 30
    assert run.trained() == [*range(8, n + 1)]
    assert run.asked() == ["0|1|2|3|4|5|6|7", *map(str, range(8, n))]
    assert run.params()["replicates"] == [*range(n)]
    assert run.called[-1] == ("dvc", "repro", n)
    assert [int(re.match(r"n = (\d+): ", line)[1]) for line in run.lines] == [*range(8, n + 1)]
    assert all(re.search(r"undecided, about \d+ more", line) for line in run.lines[:-1])
    mean = math.expm1(run.differences[:n].mean())
    assert f"FractalUNet {-mean:.1%} lower (90% sequence " in run.lines[-1]
    assert run.lines[-1].endswith("% lower): better")


def test_several_at_a_time_are_looks_one_by_one_and_the_first_decision_stands(pipeline):
    run = pipeline(mean=-0.13)
    n = decided(run).replicates
    run.study(jobs=14)
    assert run.trained() == [m for m in range(8, 41, 7) if m < n + 7]
    assert run.asked()[1] == "8|9|10|11|12|13|14"
    assert run.trained()[-1] > n, "the test shows nothing where the decision ends a batch"
    assert len(run.lines) == n - 7
    assert run.params()["replicates"] == [*range(n)]


def test_a_decided_study_trains_nothing_more(pipeline):
    run = pipeline(mean=-0.13)
    run.study()
    n = run.params()["replicates"][-1] + 1
    run.called, run.lines = [], []
    for more in (None, 4):
        run.study(more=more)
    assert run.trained() == [n, n], "dvc knows that these have finished"
    assert run.params()["replicates"] == [*range(n)]
    assert run.lines[n - 8] == run.lines[-1]


def test_a_killed_study_goes_on_where_it_was(pipeline):
    run = pipeline(mean=-0.13)

    def kill(*command):
        run.run(*command)
        if "cells" in command and len(run.params()["replicates"]) == 10:
            raise KeyboardInterrupt

    plan = read_preregistration()
    with pytest.raises(KeyboardInterrupt):
        run_study(DeclaredStudy(plan), run=kill, say=run.lines.append)
    assert run.trained() == [8, 9, 10]
    run.called = []
    run.study()
    assert run.trained() == [*range(10, decided(run).replicates + 1)]
    assert run.asked()[:2] == ["0|1|2|3|4|5|6|7|8|9", "10"], "whatever was killed is finished first"


def test_more_adds_so_many_at_most(pipeline):
    run = pipeline(mean=0.05)
    assert decided(run).verdict == "undecided"
    run.study(more=3)
    assert (run.trained(), run.lines) == ([3], []), "there is no look before the first"
    run.study(more=9)
    assert run.params()["replicates"] == [*range(12)]
    assert run.trained()[1:] == [8, 9, 10, 11, 12]
    assert "undecided" in run.lines[-1]


def test_an_undecided_study_ends_at_the_last_look(pipeline):
    run = pipeline(mean=0.06, spread=0.2)
    assert decided(run) == ("undecided", None)
    run.study(jobs=16)
    assert run.params()["replicates"] == [*range(40)]
    assert run.lines[-1].startswith("n = 40: ")
    assert run.lines[-1].endswith(": undecided")
    run.study()
    assert len(run.lines) == 2 * 33


def test_edits_of_params_are_not_lost_and_unfrozen_data_train_nothing(pipeline):
    run = pipeline()
    edited = compose(["train.steps=3"])
    (run.folder / "params.yaml").write_text(edited)
    with pytest.raises(InputError, match=r"params.yaml has edits that are not committed"):
        run.study()
    assert (run.folder / "params.yaml").read_text() == edited
    call(run.folder, "git", "checkout", "--quiet", "params.yaml")
    run.unfrozen = 9
    with pytest.raises(InputError, match="counts 9 unfrozen files, expected frozen data"):
        run.study()
    assert run.trained() == []


def test_what_is_not_declared_is_refused(pipeline):
    run = pipeline()
    before = (run.folder / "params.yaml").read_bytes()
    for overrides, message in (
        (["train.steps=3"], "does not declare: train.steps is 3; expected the block study"),
        (["--more", "0"], "--more is 0, expected at least 1"),
    ):
        with pytest.raises(InputError, match=message):
            main(overrides)
        assert (run.folder / "params.yaml").read_bytes() == before
    assert "device: cuda" in DeclaredStudy(read_preregistration(), ("train.device=cuda",)).composed(
        8
    )


@pytest.fixture(scope="module")
def smoke_study(tmp_path_factory):
    """Return a work tree that declares a study of the smoke scale: looks at 2 and 3 replicates."""
    workspace = tmp_path_factory.mktemp("study") / "chimera"
    copy_tree(workspace)
    scales = workspace / "conf/scale"
    scale = yaml.safe_load((scales / "smoke.yaml").read_text())
    datasets = scale["scale"]["datasets"]
    new = {f"{name}s": f"${{data.datasets.{name}}}" for name in datasets}
    manifests = {"manifests": "data/manifests/of_the_test", "datasets": [*new]}
    scale["scale"] |= manifests
    scale |= {"seed": 5, "probe_names": [], "replicates": [0, 1]}
    scale["data"] = {"seed": 6, "datasets": new}
    text = yaml.safe_dump(scale, sort_keys=False)
    (scales / "study.yaml").write_text(f"# @package _global_\n{text}")
    path = workspace / "PREREGISTRATION.md"
    head, block, tail = re.split(r"```yaml\n|```$", path.read_text(), maxsplit=2, flags=re.M)
    plan = yaml.safe_load(block)
    plan["pilot"] = decisive(yaml.safe_load(compose(["scale=smoke"], workspace / "conf")))
    plan["study"] |= {"seed": 5, "replicates": [0, 1, 2], "datasets": [*new], "data": {"seed": 6}}
    plan["stopping"] |= {"first_look": 2, "last_look": 3}
    axis = axis_name(datasets[1], datasets)
    plan |= {"secondary": ["ind_nrmse"], "weights": {axis: 1.0}}
    path.write_text(f"{head}```yaml\n{yaml.safe_dump(plan)}```{tail}")
    (workspace / ".venv").mkdir()
    (workspace / ".venv/installed").touch()
    commit(workspace)
    return workspace


@pytest.mark.full
def test_make_study_at_smoke_size(smoke_study):
    error = sentence(make_study(smoke_study, expect=2))
    assert "5 unfrozen files" in error, "three splits and statistics of IND, and an axis"
    call(smoke_study, "make", "hash_missing")
    first = make_study(smoke_study, "MORE=1")
    assert first.count("Running stage 'train@") == 6, "the first look's and one more"
    second = make_study(smoke_study)
    assert "Running stage 'train@" not in second
    looks = [line for line in second.splitlines() if line.startswith("n = ")]
    assert [line[:5] for line in looks] == ["n = 2", "n = 3"]
    assert looks == [line for line in first.splitlines() if line.startswith("n = ")]
    stats = json.loads((smoke_study / "metrics/stats.json").read_text())
    assert (stats["standing"], stats["replicates"], stats["deviations"]) == ("confirmatory", 3, 0)
    assert (smoke_study / "plots/report.html").exists()


def make_study(workspace, *arguments, expect=0):
    return call(workspace, "make", "study", "JOBS=2", *arguments, expect=expect)
