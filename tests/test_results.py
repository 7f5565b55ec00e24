"""A result that something else changed is refused by a sentence that names the file and the key."""

import json
import shutil

import pytest

from chimera.interface.errors import InputError
from chimera.stages import aggregate, stats

EVALUATE, PROBE = "metrics/runs/unet/0/evaluate.json", "metrics/runs/unet/0/twonn.json"
ABOUT, VERIFY = "checkpoints/unet/0/provenance.yaml", "metrics/verify.json"
WRONG = [
    (EVALUATE, None, "is None, expected a mapping"),
    (EVALUATE, [], r"is \[\], expected a mapping"),
    (EVALUATE, {}, "has no 'model'"),
    (EVALUATE, {"model": None}, r"\.model is None, expected a mapping"),
    (EVALUATE, {"model": {}}, r"has no 'cfd2d_ind_v2'"),
    (EVALUATE, {"model": {"cfd2d_ind_v2": []}}, r"cfd2d_ind_v2 is \[\], expected a mapping"),
    (EVALUATE, {"model": {"cfd2d_ind_v2": {"nrmse": 1.0}}}, r"nrmse is 1\.0, expected a list"),
    (EVALUATE, {"model": {"a": {"nrmse": [1, None]}}}, r"nrmse\[1\] is None, expected a number"),
    (PROBE, None, "is None, expected a mapping"),
    (PROBE, {"dimension": "three"}, r"dimension is 'three', expected a number"),
    (ABOUT, "text", "is 'text', expected a mapping"),
    (ABOUT, {}, "has no 'bytes'"),
    (VERIFY, None, "is None, expected a mapping"),
    (VERIFY, {"files": "nine"}, r"files is 'nine', expected a whole number"),
    (VERIFY, {"files": 9}, "has no 'unfrozen'"),
]


@pytest.fixture(scope="module")
def study(finished, tmp_path_factory):
    """Return a finished workspace of its own."""
    folder = tmp_path_factory.mktemp("results") / "chimera"
    shutil.copytree(finished, folder, symlinks=True)
    return folder


@pytest.mark.parametrize(("name", "content", "sentence"), WRONG)
def test_a_result_of_another_form_is_one_sentence(study, monkeypatch, name, content, sentence):
    monkeypatch.chdir(study)
    monkeypatch.setattr("sys.argv", ["stage"])
    path, stage = study / name, stats if name == VERIFY else aggregate
    before = path.read_bytes()
    path.unlink()
    path.write_text(json.dumps(content))
    try:
        with pytest.raises(InputError, match=sentence) as caught:
            stage.main()
        assert str(caught.value).startswith(name)
        assert "\n" not in str(caught.value)
    finally:
        path.write_bytes(before)
