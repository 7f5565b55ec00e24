"""x86-64 processors with AVX2 are held to it, whatever else they or their users have."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from chimera.files.vectors import FOREIGN, SWITCHES, hold_to_avx2
from workspaces import FRESH, call

INTEL = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu sse4_2 fma avx2 avx512f\n"
SANDY = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu sse4_2 avx\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd sve\n"
SETTINGS = (
    "seed: 0\ntrain:\n  steps: 4\n  deterministic: {}\n  lr: 0.1\nlast:\n  deterministic: true\n"
)
TRAIN = ["python", "-m", "chimera.stages.train", "--model", "unet"]
EVALUATE = ["python", "-m", "chimera.stages.evaluate"]
OTHER_VENDOR = str(Path(__file__).parent / "other_vendor")
# What a processor of another kind chooses, as far as this one can.
DISPATCHES = {
    "scalar": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "OPENBLAS_CORETYPE": "Nehalem",
        "MKL_CBWR": "SSE4_2",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3",
        "OMP_NUM_THREADS": "1",
    },
    "avx": {
        "DNNL_MAX_CPU_ISA": "AVX",
        "OPENBLAS_CORETYPE": "Sandybridge",
        "MKL_CBWR": "AVX",
        "MKL_ENABLE_INSTRUCTIONS": "AVX",
        "NUMBA_CPU_NAME": "sandybridge",
        "OMP_NUM_THREADS": "2",
    },
    "another vendor": {"PYTHONPATH": os.pathsep.join([OTHER_VENDOR, *sys.path])},
}
# Prints a digest of each of OpenBLAS's parts that the probes use, with so many threads.
FACTORS = """
import hashlib, os, sys
from chimera.files.vectors import hold_to_avx2
os.environ["OPENBLAS_NUM_THREADS"] = sys.argv[1]
if sys.argv[2] == "held":
    hold_to_avx2(["python"])
import numpy as np
from scipy import linalg
x, y = np.random.default_rng(0).standard_normal((2, 513, 129))
gram = x.T @ x
for result in (linalg.cho_solve(linalg.cho_factor(gram), x.T), x.T @ y, np.linalg.svd(x)[1]):
    print(hashlib.sha256(np.ascontiguousarray(result).tobytes()).hexdigest())
"""
# Prints a digest of each of MKL's parts that torch uses.
OPERATIONS = """
import hashlib, os, sys
from pathlib import Path
from chimera.files.vectors import hold_to_avx2
hold_to_avx2(["python"])
if sys.argv[1:]:
    del os.environ[sys.argv[1]]
import torch
torch.manual_seed(0)
x = torch.randn(96, 96, dtype=torch.float64)
found = {
    "transform": torch.view_as_real(torch.fft.fft2(x)),
    "function": torch.expm1(x),
    "product": x @ x,
    "single product": x.float() @ x.float(),
    "factorisation": torch.linalg.svd(x)[1],
    "solution": torch.linalg.solve(x, x),
}
for name, result in found.items():
    print(name, hashlib.sha256(result.numpy().tobytes()).hexdigest(), sep=": ")
"""
STAGES = (
    ("generate", "--dataset", "cfd2d_ood_amplitude_v2"),
    ("train", "--model", "unet", "--replicate", "0"),
    ("evaluate", "--model", "unet", "--replicate", "0"),
    ("probe", "--probe", "rome", "--model", "unet", "--replicate", "0"),
    ("probe", "--probe", "ib", "--model", "unet", "--replicate", "0"),
    ("aggregate",),
    ("stats",),
    ("figures",),
)
WRITTEN = ("data/cfd2d_ood_amplitude_v2", "checkpoints/unet/0", "metrics", "plots/png", "plots/svg")


@pytest.fixture
def processor(tmp_path, monkeypatch):
    """Return a function that makes the file of a processor; params.yaml is in the folder."""
    monkeypatch.chdir(tmp_path)

    def make(content):
        path = tmp_path / "cpuinfo"
        path.write_text(content)
        return path

    return make


def test_foreign_values_are_replaced(processor):
    environment = dict.fromkeys((*SWITCHES, *FOREIGN, "OMP_NUM_THREADS"), "foreign")
    hold_to_avx2(EVALUATE, environment, processor(INTEL))
    assert environment == SWITCHES | {"OMP_NUM_THREADS": "foreign"}


@pytest.mark.parametrize("content", [SANDY, ARM, ""])
def test_other_processors_are_left_as_they_are(processor, content):
    environment = {"MKL_CBWR": "AVX"}
    hold_to_avx2(EVALUATE, environment, processor(content))
    hold_to_avx2(EVALUATE, environment, processor(content).with_name("absent"))
    assert environment == {"MKL_CBWR": "AVX"}


def test_training_alone_may_have_the_full_width(processor, tmp_path):
    found = {}
    for answer in ("true", "false"):
        (tmp_path / "params.yaml").write_text(SETTINGS.format(answer))
        for command in (TRAIN, EVALUATE):
            environment = {}
            hold_to_avx2(command, environment, processor(INTEL))
            found[answer, command[2]] = environment == SWITCHES
    assert found == {
        ("true", TRAIN[2]): True,
        ("true", EVALUATE[2]): True,
        ("false", TRAIN[2]): False,
        ("false", EVALUATE[2]): True,
    }


@pytest.mark.parametrize("room", ["stages", "commands"])
def test_an_import_sets_nothing(room):
    code = (
        f"import os; before = dict(os.environ); import chimera.{room}; assert os.environ == before"
    )
    environment = {k: v for k, v in os.environ.items() if k not in SWITCHES}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_the_cores_decide_no_byte_of_products_and_factors():
    def digests(threads, held):
        command = [sys.executable, "-c", FACTORS, threads, held]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.check_output(command, env=environment, text=True).split()

    assert digests("1", "held") == digests("2", "held")
    if (os.cpu_count() or 1) > 1:  # one core has one thread, whatever is asked
        assert not set(digests("1", "free")) & set(digests("2", "free")), "the switch is needed"


def test_the_vendor_of_a_processor_decides_no_byte():
    """MKL has kernels for Intel's processors and others for all."""

    def digests(dispatch, *left_free):
        command = [sys.executable, "-c", OPERATIONS, *left_free]
        environment = os.environ | dispatch
        return subprocess.check_output(command, env=environment, text=True).splitlines()

    own, other = {"PYTHONPATH": os.pathsep.join(sys.path)}, DISPATCHES["another vendor"]
    assert len(digests(own)) == 6
    assert digests(other) == digests(own)
    free, there = digests(own, "MKL_CBWR"), digests(other, "MKL_CBWR")
    assert {line.split(":")[0] for line in set(free) - set(there)} >= {"transform"}


@pytest.mark.full
@pytest.mark.parametrize("dispatch", DISPATCHES)
def test_every_stage_writes_the_same_bytes_under_any_dispatch(finished, tmp_path, dispatch):
    workspace = tmp_path / "chimera"
    shutil.copytree(finished, workspace, symlinks=True)
    for path in (workspace / "data", workspace / "checkpoints", workspace / "metrics"):
        call(workspace, "chmod", "-R", "u+w", str(path))
    before = contents(workspace)
    environment = FRESH | DISPATCHES[dispatch]
    for name, *arguments in STAGES:
        module = f"chimera.stages.{name}"
        call(workspace, "python", "-m", module, *arguments, environment=environment)
        assert contents(workspace) == before, name


def contents(workspace):
    """Return the bytes of every file that the stages write."""
    files = [f for name in WRITTEN for f in (workspace / name).rglob("*") if f.is_file()]
    return {f.relative_to(workspace): f.read_bytes() for f in files}
