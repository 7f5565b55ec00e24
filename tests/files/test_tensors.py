"""Files of tensors have the same bytes everywhere, and a broken one is one sentence."""

import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from chimera.files.tensors import read_tensors, write_tensors
from chimera.interface.errors import InputError

TENSORS = """
import sys, torch
from pathlib import Path
from chimera.files.tensors import write_tensors
values = {name: name for name in ("model", "normalisation", "mean", "std", "frame")}
tensors = {name: torch.arange(6.0).reshape(2, 3).t() for name in ("b", "a", "weight")}
write_tensors(Path(sys.argv[1]), tensors, values)
"""


def test_tensors_have_the_same_bytes_in_every_process(tmp_path):
    contents = set()
    for seed in range(3):
        path = tmp_path / str(seed)
        subprocess.run(
            [sys.executable, "-c", TENSORS, str(path)],
            env=os.environ | {"PYTHONHASHSEED": str(seed)},
            check=True,
        )
        contents.add(path.read_bytes())
    assert len(contents) == 1
    tensors, values = read_tensors(tmp_path / "0")
    assert torch.equal(tensors["weight"], torch.arange(6.0).reshape(2, 3).t())
    assert values["frame"] == "frame"


@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.3, 0.999])
def test_a_truncated_file_of_tensors_is_one_sentence(tmp_path, fraction):
    path = tmp_path / "model.safetensors"
    write_tensors(path, {"w": torch.zeros(1000)}, {})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(fraction * len(whole))])
    with pytest.raises(InputError, match=r"model\.safetensors is not a whole safetensors file"):
        read_tensors(path)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"^cannot read .*absent: [Nn]o such file"):
        read_tensors(tmp_path / "absent")


def test_a_file_without_values_is_one_sentence(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"w": torch.zeros(3)}, path)
    with pytest.raises(InputError, match=r"foreign\.safetensors is not a whole safetensors file"):
        read_tensors(path)


def test_complex_tensors_are_stored_as_real_ones_and_shared_ones_twice(tmp_path):
    weight = torch.complex(torch.arange(6.0).reshape(2, 3), -torch.ones(2, 3))
    shared = torch.ones(2)
    write_tensors(tmp_path / "t", {"w": weight, "c": weight.conj(), "a": shared, "b": shared}, {})
    stored = load_file(tmp_path / "t")
    assert set(stored) == {"w.as_real", "c.as_real", "a", "b"}
    assert stored["w.as_real"].shape == (2, 3, 2)
    assert torch.equal(stored["c.as_real"][..., 1], torch.ones(2, 3))
    tensors, _ = read_tensors(tmp_path / "t")
    assert torch.equal(tensors["w"], weight)
    assert torch.equal(tensors["c"], weight.conj())
