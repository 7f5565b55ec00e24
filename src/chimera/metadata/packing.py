"""The metadata of a record, from the files that it holds."""

from pathlib import Path
from typing import Any

from chimera.files.artifacts import read_params, read_yaml, sha256
from chimera.metadata.croissant import croissant
from chimera.metadata.run_crate import run_crate

METADATA = ("croissant.json", "ro-crate-metadata.json")


def metadata(record: Path) -> dict[str, dict[str, Any]]:
    """Return the content of METADATA for a record.

    Raises:
        InputError: If a file of the record is missing or unreadable.
    """
    params, about = read_params(record / "params.yaml"), read_yaml(record / "provenance.yaml")
    manifests = sorted((record / params["data"]["manifests"]).glob("*.yaml"))
    folders = tuple(f"data/{dataset}/" for dataset in params["datasets"])
    listed = [entry for manifest in manifests for entry in read_yaml(manifest)["files"]]
    files = [entry for entry in listed if entry["path"].startswith(folders)]
    kept = sorted(path for path in record.rglob("*") if path.is_file())
    paths = {p.relative_to(record).as_posix(): p for p in kept if p.name not in METADATA}
    hashes = {entry["path"]: entry["sha256"] for entry in files} | about["checkpoints"]
    hashes |= {path: sha256(file) for path, file in paths.items()}
    sizes = {path: file.stat().st_size for path, file in paths.items()}
    lock = read_yaml(record / "dvc.lock")["stages"]
    terms = read_yaml(Path(__file__).with_name("terms.yaml"))
    data = croissant(params, files, about, terms)
    crate = run_crate(lock, sizes, hashes, about, terms)
    return dict(zip(METADATA, (data, crate), strict=True))
