"""Arrays come back as they were written, and a file that is none is one sentence."""

import numpy as np
import pytest
import torch

from chimera.files.arrays import read_arrays
from chimera.files.tensors import write_tensors
from chimera.interface.errors import InputError


def test_what_the_stages_write_is_read_without_torch(tmp_path):
    tensors = {"a": torch.randn(2, 3), "b": torch.zeros(4)}
    write_tensors(tmp_path / "f.safetensors", tensors, {"frame": 8})
    found = read_arrays(tmp_path / "f.safetensors")
    assert set(found) == {"a", "b"}
    np.testing.assert_array_equal(found["a"], tensors["a"].numpy())


@pytest.mark.parametrize("length", [0, 7, 8, 60, 150])
def test_a_cut_file_is_one_sentence(tmp_path, length):
    path = tmp_path / "f.safetensors"
    write_tensors(path, {"a": torch.zeros(100)}, {})
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(InputError, match=r"cannot read .*f\.safetensors.*expected a whole"):
        read_arrays(path)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*absent.*run `dvc repro`"):
        read_arrays(tmp_path / "absent.safetensors")
