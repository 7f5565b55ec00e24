"""A search trains the declared pairs and then the best again, whatever stops it on the way."""

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from chimera.files.artifacts import read_params, write_yaml
from chimera.interface.settings import read_settings
from chimera.stages.networks import read_by_trainings
from chimera.tuning.search import Search, draws
from waves import write_workspace

STEPS = 10
SEARCH = {
    "seed": 0,
    "models": ["net"],
    "trials": 8,
    "steps": STEPS,
    "lr": [1e-5, 1e2],  # the lowest learns nothing, and the highest diverges
    "weight_decay": [1e-5, 1e-2],
    "repeats": {"places": [1], "seeds": [1], "longer": 3},
}


def prepared(folder):
    """Write what a search reads, and take its first stage."""
    write_workspace(folder)
    write_yaml(folder / "tuning/params.yaml", SEARCH)
    read = read_by_trainings(read_params(folder / "params.yaml"), "net")
    write_yaml(folder / "metrics/gates/networks/net.yaml", {"source": {"unet": "digest"}} | read)
    write_yaml(folder / "metrics/gates/sources/train.yaml", {"versions": "digest"})
    return run(folder, "subject", "--model", "net")


def start(folder, *part, jobs="2"):
    command = [sys.executable, "-m", "chimera.commands.tune", *part]
    return subprocess.Popen(
        command, cwd=folder, env=os.environ | {"JOBS": jobs}, stderr=subprocess.PIPE, text=True
    )


def run(folder, *part):
    process = start(folder, *part)
    printed = process.communicate(timeout=300)[1]
    assert process.returncode == 0, printed
    return folder


def table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Return the workspace of a finished search."""
    folder = prepared(tmp_path_factory.mktemp("searched"))
    for part in ("trials", "repeats"):
        run(folder, part, "--model", "net")
    return run(folder, "tables")


def test_every_declared_pair_is_trained(searched):
    rows = table(searched / "tuning/trials.csv")
    assert [int(row["trial"]) for row in rows] == list(range(8))
    found = [{name: float(row[name]) for name in ("lr", "weight_decay")} for row in rows]
    assert found == draws(read_settings(SEARCH, "tuning", Search))
    highest = max(rows, key=lambda row: float(row["lr"]))
    assert highest["valid_nrmse"] == "inf", "it diverged, which ends no search"


def test_the_second_best_is_trained_from_another_seed_and_the_best_for_longer(searched):
    trials = table(searched / "tuning/trials.csv")
    best, second = sorted(trials, key=lambda row: float(row["valid_nrmse"]))[:2]
    repeats = table(searched / "tuning/repeats.csv")
    assert [(r["trial"], r["lr"], r["seed"], int(r["steps"])) for r in repeats] == [
        (second["trial"], second["lr"], "1", STEPS),
        (best["trial"], best["lr"], "1", 3 * STEPS),
    ]
    metrics = json.loads((searched / "tuning/metrics.json").read_text())["net"]
    batch = read_params(searched / "params.yaml")["train"]["batch_size"]
    assert metrics["samples"] == (8 + 1 + 3) * STEPS * batch
    assert (metrics["best_lr"], metrics["trials"]) == (float(best["lr"]), 8)
    assert metrics["best_valid_nrmse"] == float(best["valid_nrmse"])


@pytest.mark.parametrize("part", ["trials", "repeats"])
def test_a_training_errs_as_the_same_one_of_the_study(searched, tmp_path, part):
    """Seed and replicate of the study stand for the seeds of the search and of the row."""
    rows = table(searched / f"tuning/{part}.csv")
    row = min(rows, key=lambda row: float(row["valid_nrmse"]))
    tuned = {name: float(row[name]) for name in ("lr", "weight_decay")}
    steps, replicate = int(row.get("steps", STEPS)), row.get("seed", "0")
    write_workspace(tmp_path, **tuned, steps=steps)
    command = ["-m", "chimera.stages.train", "--model", "net", "--replicate", replicate]
    subprocess.run([sys.executable, *command], cwd=tmp_path, check=True, capture_output=True)
    history = table(tmp_path / f"checkpoints/net/{replicate}/history.csv")
    assert row["valid_nrmse"] == f"{float(history[-1]['valid_nrmse']):.6g}"


def kill_children(process):
    """Kill, as the kernel does where memory ends, what trains for a process."""
    command = ["ps", "-A", "-ww", "-o", "pid=", "-o", "ppid=", "-o", "command="]
    listed = subprocess.run(command, capture_output=True, text=True, errors="replace").stdout
    for pid, parent, started in (line.split(maxsplit=2) for line in listed.splitlines()):
        if int(parent) == process.pid and "spawn_main" in started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def test_a_search_that_was_killed_goes_on(searched, tmp_path):
    folder = prepared(tmp_path)
    process = start(folder, "trials", "--model", "net", jobs="1")
    while process.poll() is None:
        time.sleep(0.05)
        if len(list(folder.glob(".scratch/tune-trials-net/*/tune-*"))) > 2:
            kill_children(process)  # one after another are trained: two have finished
    said = [line for line in process.communicate()[1].splitlines() if line.startswith("error")]
    assert said == ["error: a training of net was killed, expected it to finish"]
    assert process.returncode == 2
    assert not (folder / "tuning/trials").exists()
    resumed = start(folder, "trials", "--model", "net")
    printed = resumed.communicate(timeout=300)[1]
    assert resumed.returncode == 0, printed
    trained = [line for line in printed.splitlines() if "the history so far" in line]
    assert 0 < len(trained) <= 8 - 2, "two or more had been trained"
    written = [(of / "tuning/trials/net.csv").read_bytes() for of in (folder, searched)]
    assert written[0] == written[1]
    assert not list(folder.glob(".scratch/tune-trials-net/*/")), "nothing is left of it"
