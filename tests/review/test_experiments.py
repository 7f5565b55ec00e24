"""The table of experiments, of lists made by DVC's own records, each line derived by hand."""

import json
import math
import subprocess
import sys

import pytest
from dvc.repo.experiments.serialize import (
    ExpDep,
    ExpExecutor,
    ExpOut,
    ExpRange,
    ExpState,
    SerializableError,
    SerializableExp,
)

from chimera.commands import experiments
from chimera.interface.errors import InputError
from chimera.review.experiments import experiments_of, markdown_table, terminal_table

PARAMS = {
    "seed": 0,
    "model_names": ["unet", "fractal_unet"],
    "train": {"lr": 0.004},
    "baseline": "unet",
    "scale": {"name": "laptop"},
}
ERRORS = {"unet": (0.0693268, 0.124264, 0.5368), "fractal_unet": (0.07, 0.115199, 0.564086)}


def record(params=PARAMS, errors=ERRORS, verdict="undecided", code="a1", standing="pilot"):
    """Return an experiment as DVC collects it; `errors` is IND, OOD and gap of each model."""
    metrics = {}
    if errors:
        summary = {
            model: {"ind": {"nrmse": ind, "nrmse_sd": 1e-3}, "ood": {"nrmse": ood}, "gap": gap}
            for model, (ind, ood, gap) in errors.items()
        }
        others = [model for model in errors if model != "unet"]
        for model in others:
            summary[model]["verdict"] = verdict
        metrics = {"metrics/headline.json": {"data": summary | {"standing": standing}}}
    return SerializableExp(
        rev="0" * 40,
        params={"params.yaml": {"data": params}, "tuning/params.yaml": {"data": {"seed": 7}}},
        metrics=metrics,
        deps={
            "src/chimera/training": ExpDep(hash=code, size=1, nfiles=1),
            "params.yaml": ExpDep(hash=f"{code}{params['seed']}", size=1, nfiles=None),
            "checkpoints": ExpDep(hash=f"{code}0", size=1, nfiles=2),
        },
        outs={"checkpoints/unet/0": ExpOut("b", 1, 1, use_cache=True, is_data_source=False)},
    )


def run(name, data, state=None, error=None):
    """Return one experiment of a commit."""
    revs = [ExpState("1" * 40, name, data, SerializableError(error) if error else None)]
    return ExpRange(revs, executor=ExpExecutor(state) if state else None, name=name)


def listed(*runs, workspace=None, commit=None):
    """Return what `dvc exp show` lists."""
    commit = ExpState("abcdef0" + "1" * 33, "main", commit or record(), experiments=list(runs))
    return [ExpState("workspace", data=workspace or record()), commit]


def better(ood):
    return ERRORS | {"fractal_unet": (0.06, ood, 0.5)}


STUDY = listed(
    run("gauzy-tows", record(PARAMS | {"seed": 1}, better(0.12), "better"), "success"),
    run("timid-noel", record(PARAMS | {"train": {"lr": 0.002}}, better(0.11), code="c3")),
    run(
        "deft-leak",
        record(
            {"seed": 2, "scale": {"name": "smoke"}, "steps": [1, 2], "baseline": "unet"}
            | {"model_names": ["unet", "fractal_unet"], "note": "x" * 30}
        ),
        "queued",
    ),
    run("lento-hobo", record(PARAMS | {"seed": 3}), "failed", "Experiment run failed"),
    run("stout-peke", record(PARAMS | {"seed": 4}, {}), "running"),
)

# The tables follow from these: three digits a number, names as wide as the longest.
AT_120 = """
                                                                 UNet              FractalUNet
experiment  changed                                         IND    OOD    gap     IND    OOD    gap  verdict    standing
main                                                     0.0693  0.124  0.537  0.0700  0.115  0.564  undecided  pilot
timid-noel  train.lr=0.002, src/chimera/training         0.0693  0.124  0.537  0.0600  0.110  0.500  undecided  pilot
gauzy-tows  seed=1                                       0.0693  0.124  0.537  0.0600  0.120  0.500  better     pilot
deft-leak   scale.name=smoke, seed=2, train.lr removed,                                                         queued
            and 2 more
lento-hobo  seed=3                                                                                              failed
stout-peke  seed=4                                                                                              running
"""  # noqa: E501

AT_80 = """
                                    UNet       FractalUNet
experiment  changed               IND    OOD     IND    OOD  verdict    standing
main                           0.0693  0.124  0.0700  0.115  undecided  pilot
timid-noel  train.lr=0.002,    0.0693  0.124  0.0600  0.110  undecided  pilot
            src/chimera/train
            ing
gauzy-tows  seed=1             0.0693  0.124  0.0600  0.120  better     pilot
deft-leak   scale.name=smoke,                                           queued
            seed=2, train.lr
            removed, and 2
            more
lento-hobo  seed=3                                                      failed
stout-peke  seed=4                                                      running
Left out for want of room: gap.
"""

AS_MARKDOWN = r"""
| experiment | changed | `UNet IND` | `UNet OOD` | `UNet gap` | `FractalUNet IND` | `FractalUNet OOD` | `FractalUNet gap` | verdict | standing |
|---|---|--:|--:|--:|--:|--:|--:|---|---|
| `main` |  | 0.0693 | 0.124 | 0.537 | 0.0700 | 0.115 | 0.564 | `undecided` | `pilot` |
| `a\|b'</td>` | `note=x \| y` | 0.0693 | 0.124 | 0.537 | 0.0700 | 0.115 | 0.564 | `undecided` | `pilot` |
"""  # noqa: E501


@pytest.mark.parametrize(("width", "table"), [(120, AT_120), (80, AT_80)])
def test_a_terminal(width, table):
    assert terminal_table(experiments_of(STUDY), width) == table[1:-1]
    assert max(map(len, table.splitlines())) <= width


def test_a_pull_request():
    hostile = listed(run("a|b`</td>", record(PARAMS | {"note": "x\n| y"})))
    assert markdown_table(experiments_of(hostile)) == AS_MARKDOWN[1:-1]


@pytest.mark.parametrize(
    ("number", "columns", "left_out"),
    [
        (1, 7, None),  # four of text, three of one model
        (2, 10, None),
        (3, 10, "gap"),  # 4 + 3 * 3 = 13 are too many
        (4, 12, "gap"),
        (5, 9, "IND, gap"),
        (8, 12, "IND, gap"),
        (10, 12, "IND, gap, net7, net8"),  # the baseline and seven more
    ],
)
def test_no_table_has_more_than_twelve_columns(number, columns, left_out):
    names = [*(f"net{n}" for n in range(number - 1)), "unet"]
    data = record(PARAMS | {"model_names": names}, dict.fromkeys(names, (0.1, 0.2, 0.7)))
    rows = experiments_of(listed(workspace=data, commit=data))
    header, *_, end = markdown_table(rows).splitlines()
    assert header.count(" | ") + 1 == columns
    assert header.startswith("| experiment | changed | `UNet ")  # the baseline comes first
    assert (end == f"Left out for want of room: {left_out}.") == (left_out is not None)
    for width in (80, 120):
        lines = terminal_table(rows, width).splitlines()
        assert all(len(line) <= width for line in lines if not line.startswith("Left out"))


def test_the_verdicts_of_several_models_stand_under_each_other():
    names = ["unet", "fno", "net"]
    data = record(PARAMS | {"model_names": names}, dict.fromkeys(names, (0.1, 0.2, 0.7)), "worse")
    lines = terminal_table(experiments_of(listed(workspace=data, commit=data)), 120).splitlines()
    column = lines[1].index("verdict")
    assert [line[column : column + 8].strip() for line in lines[2:4]] == ["worse,", "worse"]


def test_a_workspace_that_differs_is_a_row_of_its_own():
    changed = experiments_of(listed(workspace=record(PARAMS | {"seed": 5}, {})))
    assert [(row.name, row.changed, row.standing) for row in changed] == [
        ("main", (), "pilot"),
        ("workspace", ("seed=5",), "no results"),
    ]
    assert [row.name for row in experiments_of(listed())] == ["main"]
    applied = record(PARAMS | {"seed": 1}, better(0.12))
    rows = experiments_of(listed(run("gauzy-tows", applied, "success"), workspace=applied))
    assert [row.name for row in rows] == ["main", "gauzy-tows"]


def test_what_tells_experiments_apart_comes_before_what_all_of_them_changed():
    """A sweep at smoke scale: three settings of the scale, and one of each experiment."""
    smoke = PARAMS | {"scale": {"name": "smoke"}, "baseline": "none", "model_names": ["unet"]}
    runs = [run(f"run-{lr}", record(smoke | {"train": {"lr": lr}}, {})) for lr in (0.1, 0.2)]
    _, *rows = experiments_of(listed(*runs))
    assert [row.changed[:2] for row in rows] == [
        ("scale.name=smoke", "train.lr=0.1"),
        ("scale.name=smoke", "train.lr=0.2"),
    ]
    assert all(len(row.changed) == 4 for row in rows)


def test_what_cannot_be_read_has_a_word():
    broken = record()
    broken.metrics["metrics/headline.json"] = {"error": ValueError("not JSON")}
    lost = ExpRange([ExpState("2" * 40, "lost", error=SerializableError("gone", "SCMError"))])
    rows = experiments_of(listed(run("broken", broken), lost))
    diverged = listed(run("diverged", record(errors=ERRORS | {"fractal_unet": (0.1, math.nan, 0)})))
    (row,) = experiments_of(diverged)[1:]
    assert row.errors.keys() & {"unet.ood.nrmse", "fractal_unet.ood.nrmse"} == {"unet.ood.nrmse"}
    assert [(row.name, row.standing, row.errors) for row in rows[1:]] == [
        ("broken", "unreadable", {}),
        ("lost", "unreadable", {}),
    ]


def test_no_commit_is_one_sentence():
    with pytest.raises(InputError, match="lists no commit, expected at least one"):
        experiments_of([])


def test_the_command_asks_dvc(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="not inside of a DVC repository"):
        experiments.main([])
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "test")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "test@example.org")
    (tmp_path / "params.yaml").write_text(json.dumps(PARAMS))
    for words in (
        "git init --quiet --initial-branch main",
        f"{sys.executable} -m dvc init --quiet",
        "git add --all",
        "git commit --quiet --message test",
    ):
        subprocess.run(words.split(), check=True)
    (tmp_path / "params.yaml").write_text(json.dumps(PARAMS | {"seed": 6}))
    experiments.main(["--md"])
    assert [line.split(" | ")[:2] for line in capsys.readouterr().out.splitlines()[2:]] == [
        ["| `main`", ""],
        ["| `workspace`", "`seed=6`"],
    ]
