"""Verdicts on files, and the freezing of what has no hash yet."""

import hashlib
from pathlib import Path
from textwrap import indent

import numpy as np
import pytest
import yaml

from chimera.data import checksums, verification
from chimera.interface.errors import InputError

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
    return Path("data") / dataset / "data/test/file.hdf5"


def write(dataset, content, origin="generated", seen=None):
    """Write a dataset's file and its checksums.yaml, as generation does."""
    path = path_of(dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    entry = checksums.checksum_entry(path, origin, seen or fingerprint())
    listing = "files:\n" + checksums.format_entries([entry])
    (Path("data") / dataset / "checksums.yaml").write_text(listing)


def record(paths):
    """Write IND's checksums.yaml anew, of these files; another file that lies there goes."""
    for path in Path("data/ind").rglob("*.hdf5"):
        if path not in paths:
            path.unlink()
    entries = [checksums.checksum_entry(path, "imported", None) for path in paths]
    listing = "files:\n" + checksums.format_entries(entries)
    Path("data/ind/checksums.yaml").write_text(listing)


def verdicts(study):
    return verification.verify(DATASETS, study, lambda _: None)


def tally(study):
    return {name: n for name, n in verification.counts(verdicts(study)).items() if n}


def fault(study):
    with pytest.raises(InputError) as caught:
        verification.require_verified(verdicts(study))
    return str(caught.value)


def test_without_a_manifest_files_are_unfrozen_and_pass(study):
    assert tally(study) == {"files": 2, "unfrozen": 2}
    verification.require_verified(verdicts(study))


def test_frozen_files_are_exact(study):
    diff = verification.hash_missing(DATASETS, study)
    assert tally(study) == {"files": 2, "exact": 2}
    for dataset in DATASETS:
        digest = hashlib.sha256(f"content of {dataset}".encode()).hexdigest()
        assert f"+  sha256: {digest}" in diff
    assert verification.hash_missing(DATASETS, study) == ""


def test_one_flipped_bit_is_mismatched_and_named(study):
    verification.hash_missing(DATASETS, study)
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
        (fingerprint() | {"energy": [0.7, float("nan")]}, "generated", "mismatched"),
        ({"energy": [0.7, 0.6]}, "generated", "mismatched"),
        (fingerprint(), "imported", "mismatched"),
    ],
)
def test_other_bytes_are_equivalent_only_as_the_same_flow(study, seen, origin, verdict):
    verification.hash_missing(DATASETS, study)
    write("ind", b"the same flow, rounded by another processor", origin, seen)
    assert tally(study) == {"files": 2, "exact": 1, verdict: 1}
    if verdict == "mismatched":
        sentence = fault(study)
        assert "is not the frozen data" in sentence
        assert "IND_MANIFEST.yaml" in sentence
    else:
        verification.require_verified(verdicts(study))


def test_missing_files_are_named(study):
    verification.hash_missing(DATASETS, study)
    path_of("ind").unlink()
    assert tally(study) == {"files": 2, "exact": 1, "missing": 1}
    assert f"{path_of('ind')} is missing" in fault(study)
    (Path("data/ind/checksums.yaml")).unlink()
    assert tally(study) == {"files": 2, "exact": 1, "missing": 1}


def test_data_that_were_never_generated_are_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "run `make repro`" in fault(tmp_path)


def test_null_is_filled_in_and_every_other_byte_kept(study):
    verification.hash_missing(DATASETS, study)
    manifest = study / "OOD_MANIFEST.yaml"
    frozen = "# a note\n" + manifest.read_text() + "# another note\n"
    manifest.write_text(frozen)
    digest = yaml.safe_load(frozen)["files"][0]["sha256"]
    for null in ("null", "~", ""):
        manifest.write_text(frozen.replace(f"sha256: {digest}", f"sha256: {null}".rstrip()))
        sentence = fault(study)
        assert "make hash_missing" in sentence
        assert "null" in sentence
        diff = verification.hash_missing(DATASETS, study)
        assert manifest.read_text() == frozen
        assert f"+  sha256: {digest}" in diff
        assert "IND_MANIFEST" not in diff


@pytest.mark.parametrize(
    "entry",
    [
        "- path: {path}\n  sha256: {digest}  # to be filled in\n  origin: imported\n",
        "- {{path: {path}, sha256: {digest}, origin: imported, fingerprint: null}}\n",
        "  - sha256: {digest}\r\n    path: '{path}'\r\n",
        "- origin: imported\n  sha256: {digest}\n  path: {path}\n",
    ],
)
@pytest.mark.parametrize("null", ["null", "~", "Null", "NULL", ""])
def test_every_null_gets_its_own_file_s_hash_however_it_is_written(study, entry, null):
    paths = [path_of("ind").with_name(f"{name}.hdf5") for name in "cab"]
    for path in paths:
        path.write_bytes(path.name.encode())
    digests = [hashlib.sha256(path.name.encode()).hexdigest() for path in paths]
    record(paths)

    def listing(values):
        entries = [entry.format(path=p, digest=d) for p, d in zip(paths, values, strict=True)]
        return ("# null\nfiles:\n" + "".join(entries) + "# sha256: null\n").encode()

    manifest = study / "IND_MANIFEST.yaml"
    study.mkdir()
    manifest.write_bytes(listing([null, digests[1], null]))
    verification.hash_missing(DATASETS, study)
    after = "" if null else " "  # nothing stands right behind the colon, and the blank stays
    filled = [digests[0] + after, digests[1], digests[2] + after]
    assert manifest.read_bytes() == listing(filled)
    assert tally(study) == {"files": 4, "exact": 4}


def test_new_files_join_a_manifest_in_its_own_form(study):
    verification.hash_missing(DATASETS, study)
    manifest = study / "IND_MANIFEST.yaml"
    header, entries = manifest.read_text().split("files:\n")
    before = f"{header}files:\n{indent(entries, '    ')}".rstrip()
    other = path_of("ind").with_name("other.hdf5")
    other.write_bytes(b"other")
    record([path_of("ind"), other])
    for text in (before, before + "\nnote: the last word\n"):
        manifest.write_text(text)
        assert tally(study)["unfrozen"] == 1
        verification.hash_missing(DATASETS, study)
        assert tally(study) == {"files": 3, "exact": 3}
        assert manifest.read_text().startswith(before)
        assert yaml.safe_load(manifest.read_text()).get("note") == yaml.safe_load(text).get("note")
    manifest.write_text("files: []\n")
    with pytest.raises(InputError, match=r"IND_MANIFEST\.yaml lists files in brackets"):
        verification.hash_missing(DATASETS, study)
    assert manifest.read_text() == "files: []\n"


def test_nothing_to_freeze_leaves_no_manifest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert verification.hash_missing(DATASETS, tmp_path / "manifests") == ""
    assert list(tmp_path.iterdir()) == []


def test_frozen_files_without_a_record_must_be_exact(study):
    verification.hash_missing(DATASETS, study)
    (Path("data/ind/checksums.yaml")).unlink()
    assert tally(study) == {"files": 2, "exact": 2}
    path_of("ind").write_bytes(b"the same flow, rounded by another processor")
    assert tally(study) == {"files": 2, "exact": 1, "mismatched": 1}
    assert "is not the frozen data" in fault(study)


def test_a_stray_file_is_mismatched(study):
    verification.hash_missing(DATASETS, study)
    stray = path_of("ind").with_name("stray.hdf5")
    stray.write_bytes(b"read with its split")
    assert tally(study) == {"files": 3, "exact": 2, "mismatched": 1}
    assert str(stray) in fault(study)


def test_changed_files_are_never_frozen(study):
    path_of("ind").write_bytes(b"changed")
    with pytest.raises(InputError, match="was changed"):
        verification.hash_missing(DATASETS, study)
    assert not study.exists()


def test_a_manifest_of_another_form_is_one_sentence(study):
    study.mkdir()
    (study / "IND_MANIFEST.yaml").write_text("files: {a: 1}")
    with pytest.raises(InputError, match=r"IND_MANIFEST\.yaml has another form"):
        verdicts(study)


def test_entries_survive_their_yaml():
    entry = {"path": "a", "sha256": "0" * 64, "fingerprint": {"energy": list(np.arange(80) / 7)}}
    entry["fingerprint"]["energy"] = [float(v) for v in entry["fingerprint"]["energy"]]
    assert yaml.safe_load(checksums.format_entries([entry])) == [entry]
