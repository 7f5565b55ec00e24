"""Entries {path, sha256, bytes, origin, fingerprint} of checksums.yaml and of the manifests."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from chimera.files.artifacts import read_yaml, sha256
from chimera.interface.errors import InputError

Entry = Mapping[str, Any]


def checksum_entry(path: Path, origin: str, fingerprint: Entry | None) -> dict[str, Any]:
    """Return the entry of a file."""
    content = {"path": path.as_posix(), "sha256": sha256(path), "bytes": path.stat().st_size}
    return content | {"origin": origin, "fingerprint": fingerprint}


def format_entries(entries: Iterable[Entry]) -> str:
    """Return entries as a YAML list, with each list of numbers on one line."""
    listed = [dict(entry) for entry in entries]
    return yaml.safe_dump(listed, sort_keys=False, default_flow_style=None, width=1 << 20)


def read_entries(path: Path) -> dict[str, Entry]:
    """Return the entries of a manifest or checksums.yaml by path; none if it does not exist."""
    if not path.exists():
        return {}
    content = read_yaml(path)
    entries = content.get("files") if isinstance(content, Mapping) else None
    if not isinstance(entries, list) or not all(
        isinstance(entry, Mapping) and {"path", "sha256"} <= entry.keys() for entry in entries
    ):
        raise InputError(f"{path} has another form, expected a list `files` of path, sha256, ...")
    return {entry["path"]: entry for entry in entries}
