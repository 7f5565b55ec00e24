"""The metadata of a record, from the files that it holds."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chimera.files.artifacts import read_params, read_yaml, sha256
from chimera.metadata.croissant import croissant
from chimera.metadata.data_card import data_card
from chimera.metadata.run_crate import run_crate

METADATA = ("croissant.json", "ro-crate-metadata.json", "data/README.md")


def frozen_files(study: Path, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what the manifests of a study say of the files of its datasets."""
    folders = tuple(f"data/{dataset}/" for dataset in params["datasets"])
    return [
        entry
        for manifest in sorted((study / params["data"]["manifests"]).glob("*.yaml"))
        for entry in read_yaml(manifest)["files"]
        if entry["path"].startswith(folders)
    ]


def metadata(record: Path) -> dict[str, str]:
    """Return the text of METADATA for a record; InputError if a file of it cannot be read."""
    params, about = read_params(record / "params.yaml"), read_yaml(record / "provenance.yaml")
    files = frozen_files(record, params)
    kept = sorted(path for path in record.rglob("*") if path.is_file())
    paths = {n: p for p in kept if (n := p.relative_to(record).as_posix()) not in METADATA}
    hashes = {entry["path"]: entry["sha256"] for entry in files} | about["checkpoints"]
    hashes |= {path: sha256(file) for path, file in paths.items()}
    sizes = {path: file.stat().st_size for path, file in paths.items()}
    lock = read_yaml(record / "dvc.lock")["stages"]
    terms = read_yaml(Path(__file__).with_name("terms.yaml"))
    data = croissant(params, files, about, terms)
    both = data, run_crate(lock, sizes, hashes, about, terms)
    texts = [json.dumps(content, indent=2) + "\n" for content in both]
    return dict(zip(METADATA, [*texts, data_card(data, params, about["commit"])], strict=True))
