"""Arrays come back as they were written, and a file that is none is one sentence."""

import numpy as np
import pytest
import torch

from chimera.files.arrays import read_arrays, read_safetensors, write_arrays
from chimera.files.tensors import write_tensors
from chimera.interface.errors import InputError


def test_what_the_stages_write_is_read_without_torch(tmp_path):
    tensors = {"a": torch.randn(2, 3), "b": torch.zeros(4)}
    write_tensors(tmp_path / "f.safetensors", tensors, {"frame": 8})
    found = read_safetensors(tmp_path / "f.safetensors")
    assert set(found) == {"a", "b"}
    np.testing.assert_array_equal(found["a"], tensors["a"].numpy())


@pytest.mark.parametrize("length", [0, 7, 8, 60, 150])
def test_a_cut_file_is_one_sentence(tmp_path, length):
    path = tmp_path / "f.safetensors"
    write_tensors(path, {"a": torch.zeros(100)}, {})
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(InputError, match=r"^cannot read .*f\.safetensors.*expected a whole"):
        read_safetensors(path)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"^cannot read .*absent.*run `dvc repro`"):
        read_safetensors(tmp_path / "absent.safetensors")
    with pytest.raises(InputError, match=r"^cannot read .*absent\.npz: No such file"):
        read_arrays(tmp_path / "absent.npz")


def test_arrays_come_back_and_equal_arrays_give_equal_bytes(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.uint64).reshape(2, 3), "b.places": np.array(["x", "yz"])}
    for name in ("one", "two"):
        write_arrays(tmp_path / name, arrays)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    read = read_arrays(tmp_path / "one")
    assert read["a"].tolist() == arrays["a"].tolist()
    assert read["b.places"].tolist() == ["x", "yz"]
    whole = (tmp_path / "one").read_bytes()
    (tmp_path / "one").write_bytes(whole[:-30])
    with pytest.raises(InputError, match="one is not a whole npz archive"):
        read_arrays(tmp_path / "one")


class Unpickled:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (self.mark.touch, ())


def test_nothing_is_unpickled(tmp_path):
    path, mark = tmp_path / "evil.npz", tmp_path / "mark"
    np.savez(path, a=np.array([Unpickled(mark)], dtype=object))
    with pytest.raises(InputError, match=r"evil\.npz is not a whole npz archive"):
        read_arrays(path)
    assert not mark.exists()
