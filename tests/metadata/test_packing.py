"""Metadata of a record: the formats' own validators accept it, and it says what the lock says."""

import json
import subprocess
import sys

import pytest
import yaml

from chimera.metadata.packing import METADATA, metadata
from workspaces import ENVIRONMENT

# The validator fetches the context of RO-Crate 1.1. Here its terms come from a package that ships
# them in a later version, where one of them has moved; the two checks that fetch are left out.
VALIDATE = """
import io, json, sys, urllib.request, urllib.response
from email import message_from_string
from importlib.resources import files

terms = json.loads((files("rocrate") / "data/ro-crate.jsonld").read_bytes())
terms["@context"]["ComputationalWorkflow"] = "https://bioschemas.org/ComputationalWorkflow"

class Terms(urllib.request.HTTPSHandler):
    def https_open(self, request):
        assert request.full_url.startswith("https://w3id.org/ro/crate/1.1/context")
        header = message_from_string("Content-Type: application/ld+json\\n\\n")
        body = io.BytesIO(json.dumps(terms).encode())
        answer = urllib.response.addinfourl(body, header, request.full_url, 200)
        answer.msg = "OK"
        return answer

urllib.request.install_opener(urllib.request.build_opener(Terms))
from rocrate_validator import models, services
settings = services.ValidationSettings(
    rocrate_uri=sys.argv[1],
    profile_identifier="workflow-run-crate-0.5",
    requirement_severity=models.Severity.REQUIRED,
    skip_checks=["ro-crate-1.1_3.1", "ro-crate-1.1_3.2"],
)
result = services.validate(settings)
print(*(f"{i.check.identifier} {i.message}" for i in result.get_issues()), sep="\\n")
"""


@pytest.fixture
def record(recorded):
    """Return the record's folder."""
    return recorded / "records/E1"


def issues(folder):
    """Return what the validator of Workflow Run RO-Crate finds wrong."""
    done = subprocess.run(
        [sys.executable, "-c", VALIDATE, str(folder)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line]


def test_its_validator_accepts_the_crate_and_refuses_one_without_an_instrument(record, tmp_path):
    assert issues(record) == []
    crate = json.loads((record / "ro-crate-metadata.json").read_text())
    for entity in crate["@graph"]:
        if entity["@id"] == "#run":
            del entity["instrument"]
    for path in record.rglob("*"):
        copy = tmp_path / "crate" / path.relative_to(record)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            copy.symlink_to(path)
    (tmp_path / "crate/ro-crate-metadata.json").unlink()
    (tmp_path / "crate/ro-crate-metadata.json").write_text(json.dumps(crate))
    assert any("instrument" in issue for issue in issues(tmp_path / "crate"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what mlcroissant reads with
def test_its_validator_accepts_the_croissant(record):
    import mlcroissant

    found = mlcroissant.Dataset(jsonld=str(record / "croissant.json"))
    assert not found.metadata.issues.errors
    entries = [
        entry
        for path in (record / "data/manifests").rglob("*.yaml")
        for entry in yaml.safe_load(path.read_text())["files"]
    ]
    described = {file.content_url: file.sha256 for file in found.metadata.distribution}
    assert described.items() <= {entry["path"]: entry["sha256"] for entry in entries}.items()
    params = yaml.safe_load((record / "params.yaml").read_text())
    assert {path.split("/")[1] for path in described} == set(params["datasets"])


def test_the_crate_has_every_stage_with_its_command_and_all_that_it_reads_and_writes(record):
    lock = yaml.safe_load((record / "dvc.lock").read_text())["stages"]
    crate = json.loads((record / "ro-crate-metadata.json").read_text())
    by_id = {entity["@id"]: entity for entity in crate["@graph"]}
    assert len(by_id) == len(crate["@graph"])

    def ids(value):
        return {item["@id"] for item in (value if isinstance(value, list) else [value])}

    for stage, entry in lock.items():
        action = by_id[f"#stage:{stage}"]
        assert action["description"] == entry["cmd"]
        for key, side in (("deps", "object"), ("outs", "result")):
            said = {identifier.removeprefix("#") for identifier in ids(action[side])}
            assert {item["path"] for item in entry.get(key, [])} <= said
            assert ids(action[side]) <= by_id.keys()
    weights = by_id["#checkpoints/unet/0/model.safetensors"]["sha256"]
    assert (
        weights
        == yaml.safe_load((record / "provenance.yaml").read_text())["checkpoints"][
            "checkpoints/unet/0/model.safetensors"
        ]
    )
    files = {path.relative_to(record).as_posix() for path in record.rglob("*") if path.is_file()}
    assert ids(by_id["./"]["hasPart"]) == files - set(METADATA)


def test_metadata_follows_from_the_record_alone(record):
    for name, content in metadata(record).items():
        assert (record / name).read_text() == content


def test_the_card_has_front_matter_and_every_file_of_the_manifests(record):
    _, front, text = (record / "data/README.md").read_text().split("---\n")
    said, croissant = yaml.safe_load(front), json.loads((record / "croissant.json").read_text())
    params = yaml.safe_load((record / "params.yaml").read_text())
    assert list(said) == ["pretty_name", "license", "task_categories", "tags"]
    assert (
        said["license"] == croissant["license"].removeprefix("https://spdx.org/licenses/").lower()
    )
    for file in croissant["distribution"]:
        row = f"| {file['name']} | {file['contentSize']} | `{file['sha256']}` |"
        assert text.count(row) == 1
    assert croissant["rai:dataLimitations"] in text
    assert all(text.count(f"| {name} | `{{") == 1 for name in params["datasets"])
