"""Many machines, rehearsed: each one a clone, and a last one with nothing left to train."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import pytest
import yaml

import warm
from workspaces import BIN, ENVIRONMENT, ROOT, SMOKE, call, command, commit, copy_tree

# Cells travel alike, whatever is measured on them: one probe. They are cells of the finished
# workspace, whose cache is that of the machine that works alone.
OVERRIDES = " ".join([*SMOKE, "replicates=[0]", "probe_names=[spectra]"])
CELLS = list(product(("unet", "fractal_unet"), (0,)))


@pytest.fixture(scope="module")
def alone(finished, tmp_path_factory):
    """Return a workspace in which one machine has run the two cells."""
    workspace = tmp_path_factory.mktemp("alone") / "chimera"
    shutil.copytree(finished, workspace, symlinks=True)
    (workspace / "dvc.lock").unlink()
    # They are hashed whole: leave no other cell, and no other dataset.
    for folder in ("checkpoints", "metrics/runs", "metrics/gates"):
        shutil.rmtree(workspace / folder)
    command(workspace, "compose", *OVERRIDES.split())
    call(workspace, "dvc", "repro")
    return workspace


@pytest.fixture
def origin(tmp_path):
    """Return a repository of the committed files, at the default scale and without results."""
    workspace = tmp_path / "origin"
    copy_tree(workspace)
    commit(workspace)
    return workspace


def lend_environment(clone):
    """Give a clone this process's environment, up to date, for `make install` to find."""
    target = clone / ".venv"
    target.mkdir(parents=True)
    for name in ("lib", "pyvenv.cfg"):
        (target / name).symlink_to(Path(sys.prefix) / name)
    (target / "bin").mkdir()
    for program in (*warm.FOLDER.glob("python"), *BIN.iterdir()):
        if not (target / "bin" / program.name).exists():
            (target / "bin" / program.name).symlink_to(program)
    for name in ("installed", "installed-s3"):
        (target / name).touch()
        os.utime(target / name, (2**31, 2**31))


def clone_of(origin, path):
    """Return a clone, as a fresh machine makes it."""
    call(origin.parent, "git", "clone", "--quiet", str(origin), str(path))
    lend_environment(path)
    return path


def same_results(clone, alone):
    """Assert that a clone holds what one machine computes, to the byte."""
    assert (clone / "dvc.lock").read_bytes() == (alone / "dvc.lock").read_bytes()
    for name in ("summary", "probes", "stats", "parity", "verify"):
        path = Path("metrics") / f"{name}.json"
        assert (clone / path).read_bytes() == (alone / path).read_bytes(), name


def ran(printed):
    """Return the stages that dvc ran."""
    return set(re.findall(r"^Running stage '(.*)'", printed, flags=re.MULTILINE))


def run_job(name, clone, environment, **matrix):
    """Run the steps of one job of the gpu workflow and return the stages that dvc ran."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/chimera-gpu-e1.yml").read_text())
    assert set(workflow["env"]) == {"REMOTE", "OVERRIDES"}
    values = {f"matrix.cell.{key}": value for key, value in matrix.items()}
    for secret in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        values[f"secrets.{secret}"] = environment.get(secret, "")
    hidden = {key: value for key, value in environment.items() if f"secrets.{key}" not in values}

    def replaced(text):
        return re.sub(r"\$\{\{ (.*?) \}\}", lambda match: str(values[match[1]]), str(text))

    stages = set()
    for step in workflow["jobs"][name]["steps"]:
        if "run" in step:
            given = {key: replaced(value) for key, value in step.get("env", {}).items()}
            script = ("bash", "-e", "-c", step["run"])
            given["GITHUB_OUTPUT"] = str(clone / ".scratch/outputs")
            stages |= ran(call(clone, *script, environment=hidden | given))
    return stages


def made_again(stages):
    """Return the stages of a cell or a dataset."""
    return [name for name in stages if "@" in name]


@pytest.mark.full
def test_the_gpu_workflow_over_a_shared_folder(origin, alone, tmp_path):
    environment = ENVIRONMENT | {"REMOTE": str(tmp_path / "remote"), "OVERRIDES": OVERRIDES}
    machines = [clone_of(origin, tmp_path / f"machine{n}") for n in range(2)]
    assert {"validate", "verify", "parity"} <= run_job("data", machines[0], environment)
    for clone, (model, replicate) in zip(machines, CELLS, strict=True):
        stages = run_job("cell", clone, environment, model=model, replicate=replicate)
        assert f"train@{model}-{replicate}" in stages
        assert not [name for name in stages if name.startswith("generate")]
    last = clone_of(origin, tmp_path / "last")
    stages = run_job("collect", last, environment)
    assert "aggregate" in stages
    assert not made_again(stages)
    same_results(last, alone)


def test_a_cell_that_is_none_is_one_sentence(origin, tmp_path):
    clone = clone_of(origin, tmp_path / "machine")
    printed = call(clone, "make", "worker", "MODEL=unte", "REPLICATE=0", expect=2)
    assert "error: MODEL=unte REPLICATE=0 is no cell of params.yaml" in printed
    assert not ran(printed)


@pytest.fixture
def bucket(tmp_path):
    """Return the address of a bucket on an S3 server of this machine, and what reaches it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "s3.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None, (tmp_path / "s3.log").read_text()
            time.sleep(0.1)
        reach = {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "NO_PROXY": "127.0.0.1",
        }
        create = "import boto3; boto3.client('s3').create_bucket(Bucket='chimera')"
        call(tmp_path, "python", "-c", create, environment=ENVIRONMENT | reach)
        yield "s3://chimera/e1", reach
    finally:
        server.terminate()
        server.wait()


@pytest.mark.full
def test_workflow_and_slurm_over_s3_two_at_once_and_one_killed(origin, alone, tmp_path, bucket):
    """The workflow makes the data, Slurm runs the cells, the workflow finds them and collects."""
    remote, reach = bucket
    environment = ENVIRONMENT | reach | {"REMOTE": remote, "OVERRIDES": OVERRIDES}
    machine = clone_of(origin, tmp_path / "machine")
    assert {"validate", "verify", "parity"} <= run_job("data", machine, environment)
    homes = [origin / f".scratch/slurm/{n}" for n in range(2)]
    for home in homes:
        lend_environment(home)

    def submit(task):
        with (tmp_path / f"task{task}.log").open("a") as log:
            return subprocess.Popen(
                ["bash", "slurm/e1.sbatch"], cwd=origin, stdout=log, stderr=log,
                env=environment | {"SLURM_ARRAY_TASK_ID": str(task)}, start_new_session=True,
            )  # fmt: skip

    tasks = [submit(task) for task in range(2)]
    while tasks[0].poll() is None and not list(homes[0].glob(".scratch/train-unet-0/*/state")):
        time.sleep(0.01)
    os.killpg(tasks[0].pid, signal.SIGKILL)
    assert tasks[0].wait() == -signal.SIGKILL, (tmp_path / "task0.log").read_text()
    tasks[0] = submit(0)
    for number, (task, (model, replicate)) in enumerate(zip(tasks, CELLS, strict=True)):
        log = tmp_path / f"task{number}.log"
        assert task.wait() == 0, log.read_text()
        assert f"train@{model}-{replicate}" in ran(log.read_text())
        assert not [name for name in ran(log.read_text()) if name.startswith("generate")]

    model, replicate = CELLS[0]  # of the task that was killed
    stages = run_job("cell", machine, environment, model=model, replicate=replicate)
    assert not made_again(stages)
    assert (machine / f"checkpoints/{model}/{replicate}/model.safetensors").exists()
    last = clone_of(origin, tmp_path / "last")
    stages = run_job("collect", last, environment)
    assert "aggregate" in stages
    assert not made_again(stages)
    same_results(last, alone)
