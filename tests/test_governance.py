"""Verdicts on files, and the freezing of what has no hash yet."""

import hashlib

import numpy as np
import pytest
import yaml

from chimera import governance
from chimera.errors import InputError

DATASETS = ("ind", "ood")


def fingerprint(scale=1.0, recipe="r"):
    return {"recipe": recipe, "enstrophy": [14.0 * scale, 13.0], "energy": [0.7, 0.6 / scale]}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Return the manifests' folder of a study with one file in each dataset, not yet frozen."""
    monkeypatch.chdir(tmp_path)
    for dataset in DATASETS:
        write(dataset, f"content of {dataset}".encode())
    return tmp_path / "manifests"


def path_of(dataset):
    return governance.Path("data") / dataset / "data/test/file.hdf5"


def write(dataset, content, origin="generated", seen=None):
    """Write a dataset's file and its checksums.yaml, as generation does."""
    path = path_of(dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    entry = governance.checksum_entry(path, origin, seen or fingerprint())
    listing = "files:\n" + governance.format_entries([entry])
    (governance.Path("data") / dataset / "checksums.yaml").write_text(listing)


def verdicts(study):
    return governance.verify(DATASETS, study, lambda _: None)


def tally(study):
    return {name: n for name, n in governance.counts(verdicts(study)).items() if n}


def fault(study):
    with pytest.raises(InputError) as caught:
        governance.require_verified(verdicts(study))
    return str(caught.value)


def test_without_a_manifest_files_are_unfrozen_and_pass(study):
    assert tally(study) == {"files": 2, "unfrozen": 2}
    governance.require_verified(verdicts(study))


def test_frozen_files_are_exact(study):
    diff = governance.hash_missing(DATASETS, study)
    assert tally(study) == {"files": 2, "exact": 2}
    for dataset in DATASETS:
        digest = hashlib.sha256(f"content of {dataset}".encode()).hexdigest()
        assert f"+  sha256: {digest}" in diff
    assert governance.hash_missing(DATASETS, study) == ""


def test_one_flipped_bit_is_mismatched_and_named(study):
    governance.hash_missing(DATASETS, study)
    path = path_of("ood")
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)
    found = hashlib.sha256(content).hexdigest()
    assert tally(study) == {"files": 2, "exact": 1, "mismatched": 1}
    sentence = fault(study)
    assert str(path) in sentence
    assert found in sentence
    assert expected in sentence


@pytest.mark.parametrize(
    ("seen", "origin", "verdict"),
    [
        (fingerprint(1 + 5e-6), "generated", "equivalent"),
        (fingerprint(1 + 2e-5), "generated", "mismatched"),
        (fingerprint(recipe="another"), "generated", "mismatched"),
        (fingerprint() | {"energy": [0.7]}, "generated", "mismatched"),
        (fingerprint(), "imported", "mismatched"),
    ],
)
def test_other_bytes_are_equivalent_only_as_the_same_flow(study, seen, origin, verdict):
    governance.hash_missing(DATASETS, study)
    write("ind", b"the same flow, rounded by another processor", origin, seen)
    assert tally(study) == {"files": 2, "exact": 1, verdict: 1}
    if verdict == "mismatched":
        sentence = fault(study)
        assert "is not the frozen data" in sentence
        assert "IND_MANIFEST.yaml" in sentence
    else:
        governance.require_verified(verdicts(study))


def test_missing_files_are_named(study):
    governance.hash_missing(DATASETS, study)
    path_of("ind").unlink()
    assert tally(study) == {"files": 2, "exact": 1, "missing": 1}
    assert f"{path_of('ind')} is missing" in fault(study)
    (governance.Path("data/ind/checksums.yaml")).unlink()
    assert tally(study) == {"files": 2, "exact": 1, "missing": 1}


def test_data_that_were_never_generated_are_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "run `make repro`" in fault(tmp_path)


def test_null_is_filled_in_and_every_other_byte_kept(study):
    governance.hash_missing(DATASETS, study)
    manifest = study / "OOD_MANIFEST.yaml"
    frozen = "# a note\n" + manifest.read_text() + "# another note\n"
    manifest.write_text(frozen)
    digest = yaml.safe_load(frozen)["files"][0]["sha256"]
    for null in ("null", "~", ""):
        manifest.write_text(frozen.replace(f"sha256: {digest}", f"sha256: {null}".rstrip()))
        sentence = fault(study)
        assert "make hash_missing" in sentence
        assert "null" in sentence
        diff = governance.hash_missing(DATASETS, study)
        assert manifest.read_text() == frozen
        assert f"+  sha256: {digest}" in diff
        assert "IND_MANIFEST" not in diff


def test_changed_files_are_never_frozen(study):
    path_of("ind").write_bytes(b"changed")
    with pytest.raises(InputError, match="was changed"):
        governance.hash_missing(DATASETS, study)
    assert not study.exists()


def test_a_manifest_of_another_form_is_one_sentence(study):
    study.mkdir()
    (study / "IND_MANIFEST.yaml").write_text("files: {a: 1}")
    with pytest.raises(InputError, match=r"IND_MANIFEST\.yaml has another form"):
        verdicts(study)


def test_entries_survive_their_yaml():
    entry = {"path": "a", "sha256": "0" * 64, "fingerprint": {"energy": list(np.arange(80) / 7)}}
    entry["fingerprint"]["energy"] = [float(v) for v in entry["fingerprint"]["energy"]]
    assert yaml.safe_load(governance.format_entries([entry])) == [entry]
