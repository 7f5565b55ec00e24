"""Several processes walk through the states of one: gloo on CPUs, launched by the stage itself."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from chimera.data.batches.trajectories import Form, Windows
from chimera.files.artifacts import read_yaml
from chimera.files.tensors import read_tensors
from chimera.models.forecasting.devices import describe
from chimera.models.networks.layers import Dropout
from chimera.training.distributed import Group
from waves import STEPS, write_workspace


def start(folder):
    """Start the stage in a session of its own."""
    command = [sys.executable, "-m", "chimera.stages.train", "--model", "net", "--replicate", "0"]
    return subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finish(process, expect=0):
    """Return what a stage prints until it ends."""
    printed = process.communicate(timeout=300)[1]
    assert process.returncode == expect, printed
    return printed


def results(folder):
    """Return the weights' bytes and the rows of the history."""
    out = folder / "checkpoints/net/0"
    rows = list(csv.DictReader((out / "history.csv").read_text().splitlines()))
    return (out / "model.safetensors").read_bytes(), rows


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Return the workspace of an uninterrupted run on two devices, and what it printed."""
    folder = write_workspace(tmp_path_factory.mktemp("pair"), devices=2)
    return folder, finish(start(folder))


def test_two_processes_follow_one_for_fifty_steps(pair, tmp_path):
    finish(start(write_workspace(tmp_path)))
    (_, one), (_, two) = results(tmp_path), results(pair[0])
    assert len(one) == len(two) == STEPS
    for name in ("train_loss", "valid_nrmse", "lr"):
        curves = np.array([[float(row[name]) for row in rows[:50]] for rows in (one, two)])
        assert np.abs(curves[0] - curves[1]).max() < 1e-5, name
    first, last = float(one[0]["train_loss"]), float(one[-1]["train_loss"])
    assert last < 0.7 * first, "a run that learns nothing would agree with any other"


def test_batch_norm_takes_the_statistics_of_the_whole_batch(tmp_path):
    """Two processes follow one; on the statistics of their own halves they would not."""
    folders = [write_workspace(tmp_path / str(n), norm="batch", devices=n) for n in (1, 2)]
    for folder in folders:
        finish(start(folder))
    (_, one), (_, two) = map(results, folders)
    curves = [[float(row["valid_nrmse"]) for row in rows] for rows in (one, two)]
    np.testing.assert_allclose(curves[0], curves[1], atol=1e-5)
    assert curves[0][-1] < 0.7 * curves[0][0]
    weights = [read_tensors(f / "checkpoints/net/0/model.safetensors")[0] for f in folders]
    for name in (name for name in weights[0] if "running" in name):
        torch.testing.assert_close(weights[0][name], weights[1][name], rtol=1e-4, atol=1e-5)


def test_the_record_beside_the_weights_holds_the_network_s_digests(pair):
    found = read_yaml(pair[0] / "checkpoints/net/0/provenance.yaml")
    here = describe(torch.device("cpu"))
    here["bytes"] = here["bytes"].replace("avx512", "avx2")  # to which stages are held, not tests
    assert found == here | {"network": {"unet": "digest"}}


def test_a_group_prints_what_one_process_prints(pair):
    lines = pair[1].splitlines()
    assert "the history so far is in .scratch/train-net-0/" in lines[0]
    assert lines[1].startswith(f"train-net-0: {STEPS}/{STEPS} steps")
    assert len(lines) == 2


def children(process):
    """Return the process numbers of a process's children."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(number) for number in listed.split()]


def states(folder):
    """Return the states that a training has left, with their times."""
    found = folder.glob(".scratch/*/*/state")
    return {path: path.stat().st_mtime_ns for path in found}


def start_until_a_state(folder):
    """Start the stage, wait until it has written a state, and return it and its workers."""
    before, process = states(folder), start(folder)
    while states(folder) == before:
        assert process.poll() is None
        time.sleep(0.005)
    return process, children(process)


def wait_for_the_end_of(workers):
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{worker}/stat").exists() for worker in workers):
        assert time.monotonic() < deadline, "a worker outlived the run"
        time.sleep(0.01)


def test_killed_and_run_again_a_group_ends_with_the_same_bytes(pair, tmp_path):
    folder = write_workspace(tmp_path, devices=2)
    process, workers = start_until_a_state(folder)
    os.kill(workers[-1], signal.SIGKILL)
    printed = finish(process, expect=2)
    errors = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, printed
    assert "of 2 was killed by SIGKILL, expected it to finish; `dvc repro` continues" in errors[0]
    assert "Traceback" not in printed
    wait_for_the_end_of(workers)

    process, workers = start_until_a_state(folder)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    wait_for_the_end_of(workers)
    assert not (folder / "checkpoints").exists()
    finish(start(folder))
    assert results(folder) == results(pair[0])


def test_what_a_worker_refuses_is_said_once(tmp_path):
    folder = write_workspace(tmp_path, devices=2, lr=1e4, gradient_clip=1e9, schedule="constant")
    printed = finish(start(folder), expect=2)
    errors = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, printed
    assert "training diverged" in errors[0]
    assert "Traceback" not in printed


def test_a_batch_that_cannot_be_shared_is_one_sentence(tmp_path):
    folder = write_workspace(tmp_path, devices=3)
    printed = finish(start(folder), expect=2)
    assert printed == (
        "error: train.batch_size is 8, expected a multiple of train.devices (3): every process "
        "takes the same share of a batch\n"
    )


def test_shares_of_a_batch_are_the_batch():
    frames = torch.arange(5 * 4, dtype=torch.float32).view(5, 4, 1, 1, 1)
    whole = Windows(frames, Form(2, 6, (0,)))
    shares = [Windows(frames, Form(2, 6, (0,), (rank, 3))) for rank in range(3)]
    for number in range(8):  # 15 windows an epoch: some batches, and some shares, span two
        parts = torch.cat([share.batch(number) for share in shares])
        assert torch.equal(parts, whole.batch(number))


def test_shares_of_a_dropout_mask_are_the_mask():
    x = torch.randn(6, 5, 4, 4)
    torch.manual_seed(3)
    expected = functional.dropout2d(x, 0.4)
    state = torch.get_rng_state()
    parts = []
    for rank in range(3):
        layer = Dropout(0.4)
        layer.share = (rank, 3)
        torch.manual_seed(3)
        parts.append(layer(x[2 * rank : 2 * rank + 2]))
        assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(torch.cat(parts), expected)
    assert torch.equal(layer.eval()(x), x)


def test_alone_a_process_is_the_whole_group():
    values = torch.tensor([1.0, 2.0, 6.0])
    assert float(Group().mean(values)) == 3.0
    assert float(Group().mean(values[2])) == 6.0
