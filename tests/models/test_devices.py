"""The device is what was asked for, or one sentence; its record names the class of its bytes."""

import os
import platform

import numpy as np
import pytest
import torch

from chimera.interface.errors import InputError
from chimera.models.forecasting.devices import (
    PACKAGES,
    describe,
    device_type,
    has_room,
    prepare_device,
)


def test_auto_takes_the_cpu_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert prepare_device("auto", 1) == torch.device("cpu")
    assert prepare_device("cpu", 2) == torch.device("cpu")
    assert torch.get_num_threads() == 2


def test_a_gpu_that_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="device is 'cuda', expected 'auto' or 'cpu'"):
        prepare_device("cuda", 1)


@pytest.fixture
def two_gpus(monkeypatch):
    """Make torch believe in two GPUs; return the one that was chosen, and keep torch's switches."""
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1000, 4000))
    monkeypatch.setattr(os, "environ", os.environ.copy())
    switches = torch.backends.cudnn, torch.backends.cuda.matmul
    before = switches[0].benchmark, *(switch.allow_tf32 for switch in switches)
    yield chosen
    torch.use_deterministic_algorithms(False)
    switches[0].benchmark, switches[0].allow_tf32, switches[1].allow_tf32 = before


def test_a_gpu_is_exact_unless_told_otherwise(two_gpus):
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    assert prepare_device("auto", 1, number=1) == torch.device("cuda", 1)
    assert two_gpus == [1]
    assert torch.are_deterministic_algorithms_enabled()
    assert (cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32) == (False, False, False)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] in (":4096:8", ":16:8")
    prepare_device("cuda", 1, tf32=True, deterministic=False)
    assert not torch.are_deterministic_algorithms_enabled()
    assert (cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32) == (True, True, True)


def test_more_devices_than_gpus_is_one_sentence(two_gpus):
    assert device_type("auto", 2) == device_type("cuda", 2) == "cuda"
    assert device_type("cpu", 3) == "cpu"
    with pytest.raises(InputError, match=r"train\.devices is 3, expected at most 2 \(GPUs\)"):
        device_type("auto", 3)


def test_data_may_take_half_of_the_free_memory(two_gpus):
    assert has_room(500, torch.device("cuda"))
    assert not has_room(501, torch.device("cuda"))
    assert has_room(10**15, torch.device("cpu"))


def test_the_record_names_a_class_of_machines_and_the_versions(monkeypatch):
    """Two machines of one class leave the same record."""
    here = describe(torch.device("cpu"))
    assert here["torch"] == torch.__version__.partition("+")[0], "whatever it is built for"
    assert here["numpy"] == np.__version__
    assert not [version for version in here.values() if "+" in version]
    assert list(here) == ["bytes", *PACKAGES]
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert describe(torch.device("cpu")) == here | {"bytes": "x86-64 avx2"}
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H100")
    assert describe(torch.device("cuda", 0)) == here | {"bytes": "NVIDIA H100"}
