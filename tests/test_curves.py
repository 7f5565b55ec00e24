"""Learning curves as a user draws them: real experiments through DVC's queue, at smoke scale."""

import json

import pytest
import yaml

from chimera.files.artifacts import read_csv
from workspaces import ROOT, call, commit, copy_tree, sentence

OVERRIDES = "scale=smoke replicates=[0,1]"


@pytest.mark.full
def test_sizes_and_steps_run_through_the_queue_and_are_drawn(tmp_path):
    workspace = tmp_path / "chimera"
    copy_tree(workspace)
    (workspace / ".venv").symlink_to(ROOT / ".venv")
    commit(workspace)
    call(
        workspace, "make", "curves", f"OVERRIDES={OVERRIDES}", "SIZES=2,6", "STEPS=20", "JOBS=1"
    )  # fmt: skip
    rows = read_csv(workspace / "curves/errors.csv")
    points = {(row["model"], row["axis"], row["trajectories"], row["steps"]) for row in rows}
    models = ("unet", "fractal_unet")
    assert points == {(m, a, n, "20") for m in models for a in ("ind", "ood") for n in ("2", "6")}
    assert len(rows) == len(points)
    (workspace / "curves/errors.png").stat()
    shown = json.loads(call(workspace, "dvc", "exp", "show", "--json"))
    runs = [run["revs"][0]["data"] for run in shown[1]["experiments"]]
    for run in runs:
        metrics = {name: content["data"] for name, content in run["metrics"].items()}
        found, parity = (metrics[f"metrics/{name}.json"] for name in ("headline", "parity"))
        size = str(run["params"]["params.yaml"]["data"]["train"]["trajectories"])
        for row in rows:
            if row["trajectories"] == size:
                errors = found[row["model"]][row["axis"]]
                assert float(row["nrmse"]) == pytest.approx(errors["nrmse"], rel=1e-8)
                assert float(row["nrmse_sd"]) == pytest.approx(errors["nrmse_sd"], rel=1e-8)
                # 20 steps of 16 windows, forward and backward
                assert int(row["macs"]) == 3 * parity[row["model"]]["macs"] * 20 * 16
    assert {run["metrics"]["metrics/headline.json"]["data"]["standing"] for run in runs} == {
        "exploratory"
    }
    params = yaml.safe_load((workspace / "params.yaml").read_text())
    assert params["train"]["trajectories"] is None, "the workspace stays as it was"
    other = call(workspace, "python", "-m", "chimera.commands.curves", "seed=7", expect=2)
    assert "differs in train.trajectories and train.steps alone" in sentence(other)
