"""A frozen network on a new file: the same errors as the stage `evaluate` finds."""

import json

import numpy as np
import pytest
import yaml

import flows
from chimera.files.artifacts import write_yaml
from chimera.files.tensors import read_tensors
from chimera.planning.composition import compose
from forecasts.test_forecasts import MEAN, STD, write_checkpoint
from workspaces import command, sentence, stage

METRICS = {"nrmse", "vrmse", "rmse_low", "rmse_mid", "rmse_high", "rollout_nrmse", "valid_time"}
DATASET = "cfd2d_ood_new_v2"


@pytest.fixture
def workspace(tmp_path):
    """Return a folder with a checkpoint and the test split of one dataset, of 4 trajectories."""
    write_checkpoint(tmp_path / "checkpoints/unet/0", ("ln viscosity",))
    viscosity = np.linspace(0.01, 0.04, 4)
    path = tmp_path / f"data/{DATASET}/data/test/a.hdf5"
    flows.write_well(path, 4, viscosity=viscosity)
    layout = {"source": "well", "extent": [6.0, 6.0], "frame_interval": 0.1}
    axes = {"ood_new": {"dataset": DATASET, "layout": layout}}
    write_yaml(tmp_path / "metrics/gates/verify/evaluation.yaml", {"axes": axes})
    section = yaml.safe_load(compose(["scale=smoke"]))["evaluate"] | {"device": "cpu"}
    write_yaml(tmp_path / "params.yaml", {"evaluate": section | {"horizon": 6}})
    return tmp_path, path


def test_the_errors_are_those_of_the_stage(workspace):
    folder, path = workspace
    stage(folder, "evaluate", "--model", "unet", "--replicate", "0")
    run = folder / "metrics/runs/unet/0"
    by_stage = json.loads((run / "evaluate.json").read_text())
    options = ["--checkpoint", "checkpoints/unet/0", "--input", str(path), "--steps", "6"]
    command(folder, "forecast", *options, "--output", "f.npz", "--errors", "errors.json")
    found = json.loads((folder / "errors.json").read_text())
    assert list(found) == ["rollout_frames", "model", "persistence"]
    assert found.pop("rollout_frames") == 6
    for name, errors in found.items():
        expected = by_stage[name][DATASET]
        assert set(errors) == set(expected) == METRICS | {"frame_nrmse", "frame_correlation"}
        for metric, values in errors.items():
            np.testing.assert_allclose(values, expected[metric], rtol=1e-4, err_msg=metric)
    known, _ = read_tensors(run / "references.safetensors")
    fields, _ = read_tensors(run / "fields.safetensors")
    assert fields[f"{DATASET}.rollouts"].shape == (4, 6, 1, 16, 16)
    assert known[f"{DATASET}.numbers"].tolist() == [0, 1, 2, 3]
    frame = yaml.safe_load((folder / "params.yaml").read_text())["evaluate"]["field_frame"]
    for rollouts, kind in (
        (fields[f"{DATASET}.rollouts"], "prediction"),
        (known[f"{DATASET}.target"], "target"),
    ):
        physical = rollouts[:, frame - 1].float() * STD[0] + MEAN[0]
        np.testing.assert_allclose(physical, fields[f"{DATASET}.{kind}"], rtol=2e-3, atol=2e-3)


def test_an_archive_of_arrays_is_evaluated_too(workspace):
    folder, _ = workspace
    flows.write_arrays(folder / "a.npz")
    options = ["--checkpoint", "checkpoints/unet/0", "--input", "a.npz", "--output", "f.npz"]
    command(folder, "forecast", *options, "--errors", "a.json", "--steps", "20")
    truth = flows.flow()[2].astype(np.float64)
    written = json.loads((folder / "a.json").read_text())
    assert written["rollout_frames"] == 8
    found = written["persistence"]
    wrong = np.linalg.norm(np.diff(truth, axis=1), axis=(2, 3))
    expected = (wrong / np.linalg.norm(truth[:, 1:], axis=(2, 3))).mean(axis=1)
    np.testing.assert_allclose(found["nrmse"], expected, rtol=1e-4)
    assert len(found["frame_nrmse"]) == 8, "all that the file has, though 20 were asked for"


def test_a_file_without_a_later_frame_is_one_sentence(workspace):
    folder, _ = workspace
    flows.write_arrays(folder / "a.npz", T=1)
    options = ["--checkpoint", "checkpoints/unet/0", "--input", "a.npz", "--output", "f.npz"]
    error = sentence(command(folder, "forecast", *options, "--errors", "a.json", expect=2))
    assert "a.npz has 1 frames, expected more than 1" in error
    assert not (folder / "a.json").exists()
    assert not (folder / "f.npz").exists()
