"""A dataset's bytes depend on no number of threads."""

import hashlib

import torch
import yaml

from chimera.data.settings import read_data
from chimera.data.sources.dataset import write_dataset
from chimera.data.sources.simulation import simulate_dataset
from chimera.planning.composition import compose
from workspaces import ROOT

NAME = "cfd2d_ind_v2"
# Frames large and many enough for torch to share the work among threads, after few steps.
FLOW = ("num_points=64", "simulated_points=96", "warm_up_points=64", "num_frames=9")
FLOW += ("frame_interval=0.01", f"datasets.{NAME}.warm_up=0.02")


def sha256_by_file(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def test_a_generated_dataset_has_the_same_bytes_on_one_thread_and_on_two(tmp_path, monkeypatch):
    overrides = [f"data.{override}" for override in FLOW]
    settings = compose(["scale=smoke", *overrides], ROOT / "conf")
    data = read_data(yaml.safe_load(settings)["data"])
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        (tmp_path / str(threads)).mkdir()
        monkeypatch.chdir(tmp_path / str(threads))
        write_dataset(NAME, "generated", lambda folder: simulate_dataset(NAME, data, folder))
        assert torch.get_num_threads() == threads
        found.append(sha256_by_file(tmp_path / str(threads)))
    assert found[0] == found[1]
    assert f"data/{NAME}/data/train/{NAME}_train.hdf5" in found[0]
