"""E1 on somebody's own files: the command of the README, and what a failed import leaves."""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml

import chimera

sys.path.insert(0, str(Path(__file__).parent / "data"))
import flows
from chimera.data.layout.splits import Split
from workspaces import call, command, commit, copy_tree, sentence, stage


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Return a fresh clone, committed to git, in which nothing has run."""
    workspace = tmp_path_factory.mktemp("own_flow") / "chimera"
    copy_tree(workspace)
    commit(workspace)
    return workspace


def gates(workspace, *overrides):
    """Run everything up to the gates and return the names of the datasets."""
    command(workspace, "compose", "scale=smoke", "train.steps=4", *overrides)
    stage(workspace, "validate")
    names = yaml.safe_load((workspace / "params.yaml").read_text())["datasets"]
    for name in names:
        stage(workspace, "ingest", "--dataset", name)
    stage(workspace, "verify")
    stage(workspace, "parity")
    return names


def trained(workspace):
    """Train and evaluate one network and return its evaluation."""
    stage(workspace, "networks", "--model", "fractal_unet")
    stage(workspace, "train", "--model", "fractal_unet", "--replicate", "0")
    stage(workspace, "evaluate", "--model", "fractal_unet", "--replicate", "0")
    folder = workspace / "metrics/runs/fractal_unet/0"
    return json.loads((folder / "evaluate.json").read_text())


def test_one_command_runs_e1_from_three_trajectories(clone, tmp_path):
    root = flows.write_pdebench(tmp_path / "flow.hdf5", n=3)
    command = ["-S", "scale=smoke", "-S", "data=pdebench", "-S", f"data.root={root}"]
    printed = call(clone, "dvc", "exp", "run", *command, "-S", "replicates=[0]")
    assert "probe-patching-unet-0 is withheld: cannot draw" in printed
    summary = json.loads((clone / "metrics/summary.json").read_text())
    for name in ("unet", "fractal_unet", "persistence"):
        assert set(summary[name]) == {"ind"}, "no OOD axis, so neither ood nor gap"
    assert "linear" not in summary, "nobody knows the physics of these files"
    verify = json.loads((clone / "metrics/verify.json").read_text())
    assert verify["files"] == verify["unfrozen"] == 4
    stats = json.loads((clone / "metrics/stats.json").read_text())
    assert stats["confirmatory"] == 0
    assert "Running stage" not in call(clone, "dvc", "repro")
    flows.write_pdebench(root, n=4, seed=1)
    status = call(clone, "dvc", "status", "ingest@ind")
    assert str(root) in status, "a source that changed makes the import run again"


@pytest.mark.filterwarnings("ignore::UserWarning:the_well")
def test_a_well_folder_with_an_axis_by_scalar(clone, tmp_path):
    from the_well.data import WellDataset

    root = flows.write_well_folder(
        tmp_path / "waves", sizes=(4, 3, 3), boundary=("periodic", "open"), H=18, W=13
    )
    flows.write_well(root / "data/test/thin.hdf5", 2, 1e-4, ("periodic", "open"), 9, H=18, W=13)
    loader = WellDataset(path=str(root), well_split_name="train", use_normalization=False)
    names = gates(
        clone,
        "data=well",
        f"data.root={root}",
        "data.fields=[velocity_y,vorticity]",
        '+data.datasets.ood_low_viscosity.where="viscosity < 1e-3"',
        "train.memory=0",
    )
    assert names == ["ind", "ood_low_viscosity"]
    assert not list((clone / "data/ind").rglob("*.hdf5")), "nothing is copied"
    with h5py.File(root / "data/train/waves_train.hdf5") as file:
        sample = loader[3]["input_fields"][0, ..., 0]
        torch.testing.assert_close(sample, torch.from_numpy(file["t0_fields/vorticity"][0, 3]))
    parity = json.loads((clone / "metrics/parity.json").read_text())
    assert abs(parity["fractal_unet"]["macs_gap"]) <= parity["tolerance"]
    report = trained(clone)
    assert set(report) == {"model", "persistence"}
    assert len(report["model"]["ind"]["nrmse"]) == 3
    assert len(report["model"]["ood_low_viscosity"]["nrmse"]) == 2
    streamed = (clone / "checkpoints/fractal_unet/0/model.safetensors").read_bytes()
    params = (clone / "params.yaml").read_text()
    (clone / "params.yaml").write_text(params.replace("memory: 0\n", "memory: 0.75\n"))
    stage(clone, "train", "--model", "fractal_unet", "--replicate", "0")
    assert (clone / "checkpoints/fractal_unet/0/model.safetensors").read_bytes() == streamed


@pytest.mark.full
@pytest.mark.filterwarnings("ignore:No complete tensor found")
@pytest.mark.parametrize("source", ["well", "pdebench"])
def test_four_past_frames_of_two_fields_and_a_scalar(clone, tmp_path, source):
    if source == "well":
        root, scalar = flows.write_well_folder(tmp_path / "waves", sizes=(4, 2, 3)), "viscosity"
    else:
        root, scalar = flows.write_pdebench(tmp_path / "flow.hdf5", n=16), "eta"
    fields = "data.fields=[velocity_x,velocity_y]"
    given = (f"data={source}", f"data.root={root}", fields, f"data.conditioning=[{scalar}]")
    given = (*given, "parity.tolerance=0.1")  # of widths that are equal for other channels
    counted = {}
    for P in (1, 4):
        assert gates(clone, *given, f"data.past_frames={P}") == ["ind"]
        counted[P] = json.loads((clone / "metrics/parity.json").read_text())
    channels = yaml.safe_load((clone / "params.yaml").read_text())["models"]["unet"]["channels"]
    further = counted[4]["unet"]["params"] - counted[1]["unet"]["params"]
    assert further == 3 * 2 * 9 * channels[0], "three frames more of two fields, 3 x 3 weights each"
    report = trained(clone)
    for errors in report.values():
        assert len(errors["ind"]["frame_nrmse"]) == 9 - 4, "frames of the truth after the given"
    split = Split(clone / "data/ind/data/test", ("velocity_x", "velocity_y"))
    frames = torch.from_numpy(split.read())  # (n, 9, 2, H, W)
    change = (frames[:, 4:] - frames[:, 3:-1]).flatten(3).norm(dim=3)
    ratios = change / frames[:, 4:].flatten(3).norm(dim=3)
    assert report["persistence"]["ind"]["nrmse"] == pytest.approx(ratios.mean(dim=(1, 2)).tolist())
    folder = clone / "checkpoints/fractal_unet/0"
    forecast = chimera.load(folder).forecast(frames[:, :4], 5, {scalar: 0.01})
    first = (forecast[:, 0] - frames[:, 4]).flatten(2).norm(dim=2)
    first /= frames[:, 4].flatten(2).norm(dim=2)
    assert report["model"]["ind"]["frame_nrmse"][0] == pytest.approx(float(first.mean()), rel=1e-4)
    cell = ("--model", "fractal_unet", "--replicate", "0")
    for probe in ("twonn", "ib", "spectra", "patching", "rome"):
        printed = stage(clone, "probe", "--probe", probe, *cell)
        assert "Traceback" not in printed
        found = json.loads((clone / f"metrics/runs/fractal_unet/0/{probe}.json").read_text())
        if probe == "spectra":
            assert "data.fields is ['velocity_x', 'velocity_y'], expected [vorticity]" in printed
        if probe == "patching":
            assert "twins are withheld: data.past_frames is 4, expected 1" in printed
            assert "ind_into_ind_bottleneck_sufficiency" in found
    options = ["--export", "torch", "--checkpoint", str(folder), "--output", "out/network.pt2"]
    command(clone, "forecast", *options)
    exported = torch.export.load(clone / "out/network.pt2").module()
    state = torch.cat([frames[:, t] for t in (3, 2, 1, 0)], dim=1)
    known = chimera.load(folder)._channels(state, {scalar: 0.01})
    torch.testing.assert_close(exported(torch.cat([state, known], dim=1)), forecast[:, 0])
    card = (clone / "out/network.md").read_text()
    assert "Channels: velocity_x, velocity_y, velocity_x 1 before, velocity_y 1 before" in card


def test_pairs_of_arrays(clone, tmp_path):
    root = flows.write_pairs(tmp_path / "pairs")
    assert gates(clone, "data=npz", f"data.root={root}") == ["ind"]
    report = trained(clone)
    assert len(report["model"]["ind"]["frame_nrmse"]) == 1, "a pair has one frame to forecast"


def test_a_failed_import_leaves_the_dataset_as_it_was(clone, tmp_path):
    root = flows.write_pdebench(tmp_path / "flow.hdf5", n=4)
    gates(clone, "data=pdebench", f"data.root={root}")
    before = {p: p.read_bytes() for p in sorted((clone / "data").rglob("*")) if p.is_file()}
    with h5py.File(root, "r+") as file:
        file["Vx"][3, 8, 1, 1] = np.nan
    error = sentence(stage(clone, "ingest", "--dataset", "ind", expect=2))
    assert str(root) in error
    assert "trajectory 3, frame 8" in error
    assert {p: p.read_bytes() for p in sorted((clone / "data").rglob("*")) if p.is_file()} == before
    root.rename(tmp_path / "gone.hdf5")
    assert f"data.root is '{root}'" in sentence(
        stage(clone, "ingest", "--dataset", "ind", expect=2)
    )
    assert {p: p.read_bytes() for p in sorted((clone / "data").rglob("*")) if p.is_file()} == before


def test_a_linked_file_that_changes_fails_the_gate(clone, tmp_path):
    root = flows.write_well(tmp_path / "waves.hdf5", 4)
    gates(clone, "data=well", f"data.root={root}")
    content = bytearray(root.read_bytes())
    content[-1] ^= 1
    root.write_bytes(content)
    error = sentence(stage(clone, "verify", expect=2))
    assert f"{root} was changed: its sha256 is" in error
    assert sentence(command(clone, "intact", expect=2)) == error
    root.unlink()
    assert f"{root} has vanished" in sentence(stage(clone, "verify", expect=2))


def test_the_split_is_frozen_in_a_manifest(clone, tmp_path):
    root = flows.write_well(tmp_path / "waves.hdf5", 6)
    override = ("data=well", f"data.root={root}", "data.manifests=data/manifests/waves")
    gates(clone, *override)
    assert "links.yaml" in stage(clone, "verify", "--hash-missing")
    stage(clone, "verify")
    verify = json.loads((clone / "metrics/verify.json").read_text())
    assert verify["exact"] == verify["files"] == 4
    command(clone, "compose", "scale=smoke", *override, "data.seed=1")
    stage(clone, "ingest", "--dataset", "ind")
    assert "is not the frozen data" in sentence(stage(clone, "verify", expect=2))


def test_a_pair_of_frames_shared_by_two_datasets_fails_the_gate(clone, tmp_path):
    flows.write_well(tmp_path / "w/a.hdf5", 5, 0.01)
    other = flows.write_well(tmp_path / "w/b.hdf5", 2, 0.001, seed=3)
    with h5py.File(tmp_path / "w/a.hdf5") as one, h5py.File(other, "r+") as file:
        file["t0_fields/vorticity"][1, 4:6] = one["t0_fields/vorticity"][0, 7:]
    command(clone, "compose", "scale=smoke", "data=well", f"data.root={tmp_path}/w",
          "+data.datasets.ood_b.files=b.hdf5")  # fmt: skip
    for name in ("ind", "ood_b"):
        stage(clone, "ingest", "--dataset", name)
    error = sentence(stage(clone, "verify", expect=2))
    assert f"frame 7 of trajectory 0 of {tmp_path}/w/a.hdf5" in error
    assert f"frame 4 of trajectory 1 of {other} (in data/ood_b/data/test)" in error


def test_export_writes_what_the_importer_reads(clone, tmp_path):
    command(clone, "compose", "scale=smoke")
    stage(clone, "generate", "--dataset", "cfd2d_ood_amplitude_v2")
    command(clone, "export", "pdebench", "cfd2d_ood_amplitude_v2")
    path = clone / "exports/pdebench/cfd2d_ood_amplitude_v2/test.hdf5"
    written = clone / "data/cfd2d_ood_amplitude_v2/data/test/cfd2d_ood_amplitude_v2_test.hdf5"
    with h5py.File(path) as file, h5py.File(written) as ours:
        np.testing.assert_array_equal(file["velocity"][...], ours["t1_fields/velocity"][...])
