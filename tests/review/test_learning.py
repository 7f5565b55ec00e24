"""Learning curves from experiments as DVC lists them: which count, and what they say."""

import copy
from types import SimpleNamespace

import pytest
import yaml
from dvc.repo.experiments.serialize import (
    ExpExecutor,
    ExpRange,
    ExpState,
    SerializableError,
    SerializableExp,
)

from chimera.commands import curves
from chimera.figures.curves import learning_curves
from chimera.files.artifacts import read_csv
from chimera.interface.errors import InputError
from chimera.planning.composition import compose
from chimera.review.learning import learning_rows
from workspaces import ROOT

PARAMS = yaml.safe_load(compose(["scale=smoke", "probe_names=[]", "train.unroll=2"]))
MACS = {"unet": 1000, "fractal_unet": 1100}


def errors(size, steps):
    """Return a law by hand: 1 / size + 1 / steps, twice as much for OOD, and 1% of sd."""
    error = 1 / size + 1 / steps
    found = {}
    for factor, model in ((1, "unet"), (3, "fractal_unet")):
        axes = {"ind": factor * error, "ood": 2 * factor * error}
        found[model] = {
            axis: {"nrmse": value, "nrmse_sd": 0.01 * value} for axis, value in axes.items()
        }
    return found


def state(name, size=None, steps=40, state=None, error=None, **train):
    """Return an experiment, or a commit where it has no size."""
    params = copy.deepcopy(PARAMS)
    params["train"] |= train | {"steps": steps} | ({"trajectories": size} if size else {})
    parity = {model: {"macs": macs} for model, macs in MACS.items()} | {"tolerance": 0.05}
    metrics = {
        "metrics/headline.json": {"data": errors(size or 8, steps)},
        "metrics/parity.json": {"data": parity},
    }
    data = SerializableExp("1" * 40, params={"params.yaml": {"data": params}}, metrics=metrics)
    told = SerializableError(error) if error else None
    rev = ExpState("1" * 40, name, data, told)
    return ExpRange([rev], executor=ExpExecutor(state) if state else None, name=name)


def listed(*runs):
    base = state("main")
    first = ExpState("abcdef0" + "1" * 33, "main", base.revs[0].data, experiments=list(runs))
    return [ExpState("workspace", data=base.revs[0].data), first]


RUNS = (
    state("big", 4, state="success"),
    state("small", 2, state="success"),
    state("short", 4, 20, state="success"),
    state("fast", 4, state="success", lr=0.5),  # another rate: no point of these curves
    state("broken", 2, state="failed", lr=0.5),
    state("whole", 8),  # run in the workspace
    state("unnamed", state="success"),  # it does not say on how many
)


def test_experiments_of_other_sizes_and_steps_alone_are_the_points():
    """Compute is 3 MACs x steps x batch x unroll."""
    rows = learning_rows(listed(*RUNS), PARAMS)
    by_point = {(r["model"], r["axis"], r["trajectories"], r["steps"]): r for r in rows}
    points = [(2, 40), (4, 20), (4, 40), (8, 40)]
    assert len(rows) == len(by_point) == 4 * len(points)
    for size, steps in points:
        for model, factor in (("unet", 1), ("fractal_unet", 3)):
            for axis, times in (("ind", 1), ("ood", 2)):
                row = by_point[model, axis, size, steps]
                expected = times * factor * (1 / size + 1 / steps)
                assert row["nrmse"] == pytest.approx(expected)
                assert row["nrmse_sd"] == pytest.approx(0.01 * expected)
                assert row["macs"] == 3 * MACS[model] * steps * PARAMS["train"]["batch_size"] * 2


def test_a_run_that_has_no_errors_is_one_sentence_with_its_name():
    for standing in ("failed", "queued", "running"):
        with pytest.raises(InputError, match=rf"^the experiment bad is {standing}, expected "):
            learning_rows(listed(*RUNS, state("bad", 4, state=standing)), PARAMS)


def test_a_run_whose_metrics_cannot_be_read_is_one_sentence_with_its_name():
    for file, content in (("headline", {"error": "x"}), ("parity", None)):
        run = state("bare", 4, state="success")
        metrics = run.revs[0].data.metrics
        metrics[f"metrics/{file}.json"] = content
        if content is None:
            del metrics[f"metrics/{file}.json"]
        with pytest.raises(
            InputError, match=r"^the experiment bare lacks metrics, expected metrics/h"
        ):
            learning_rows(listed(*RUNS, run), PARAMS)


def test_more_levels_than_markers_are_all_drawn():
    rows = learning_rows(listed(*(state(f"s{n}", 4, 10 * n) for n in range(1, 12))), PARAMS)
    figure = learning_curves(rows, ["unet"], 2)
    assert len(figure.axes[0].containers) == 11
    assert len(figure.axes[0].get_legend().get_texts()) == 11


def test_no_experiment_is_one_sentence():
    with pytest.raises(InputError, match=r"^no experiment of this commit differs in train\.traj"):
        learning_rows(listed(*RUNS[3:5]), PARAMS)


def test_the_figure_has_a_line_for_each_model_and_level_and_units():
    rows = learning_rows(listed(*RUNS), PARAMS)
    figure = learning_curves(rows, ["unet", "fractal_unet"], 2)
    assert [axes.get_title() for axes in figure.axes] == ["IND"] * 2 + ["OOD, mean over axes"] * 2
    ind, compute = figure.axes[:2]
    lines = [one.lines[0].get_xydata().tolist() for one in ind.containers]
    law = [[size, pytest.approx(1 / size + 1 / 40)] for size in (2, 4, 8)]
    assert law in lines, "UNet, 40 steps"
    assert len(ind.containers) == 2 * 2, "two models, 20 and 40 steps"
    assert len(compute.containers) == 2 * 3, "two models, 2, 4 and 8 trajectories"
    assert "(count)" in figure.axes[2].get_xlabel()
    assert "(10⁹ MACs)" in figure.axes[3].get_xlabel()
    assert "(dimensionless)" in ind.get_ylabel()
    assert "2 replicates" in ind.get_ylabel()
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["UNet", "FractalUNet"]


def test_the_command_writes_table_and_picture(tmp_path, monkeypatch):
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    monkeypatch.chdir(tmp_path)

    class Repository:
        experiments = SimpleNamespace(show=lambda: listed(*RUNS))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(curves, "Repo", Repository)
    curves.main(["scale=smoke", "probe_names=[]", "train.unroll=2"])
    assert len(read_csv(tmp_path / "curves/errors.csv")) == 16
    assert (tmp_path / "curves/errors.png").read_bytes().startswith(b"\x89PNG")
