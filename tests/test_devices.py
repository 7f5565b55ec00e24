"""The device is what was asked for, or one sentence."""

import pytest
import torch

from chimera.devices import prepare_device
from chimera.errors import InputError


def test_auto_takes_the_cpu_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert prepare_device("auto", 1) == torch.device("cpu")
    assert prepare_device("cpu", 2) == torch.device("cpu")
    assert torch.get_num_threads() == 2


def test_a_gpu_that_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="device is 'cuda', expected 'auto' or 'cpu'"):
        prepare_device("cuda", 1)
