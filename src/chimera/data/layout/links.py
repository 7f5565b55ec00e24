"""Trajectories that are read from user files in place: `links.yaml` in the folder of a split.

A list `files` of {path, sha256, bytes, trajectories}: the file, the checksum and size of its
content, and which of its trajectories belong to the split, in order. The folder holds nothing else.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import yaml

from chimera.files.artifacts import read_yaml
from chimera.interface.errors import InputError

NAME = "links.yaml"


class Link(msgspec.Struct, frozen=True, omit_defaults=True):
    """Trajectories of one file, without their first frames."""

    path: str
    sha256: str
    bytes: int
    trajectories: tuple[int, ...]
    first_frame: int = 0


class _Links(msgspec.Struct):
    files: list[Link]


def format_links(links: Sequence[Link]) -> str:
    """Return the content of a links.yaml."""
    content = msgspec.to_builtins({"files": links})
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=1 << 20)


def read_links(path: Path) -> list[Link]:
    """Return the links of a links.yaml."""
    try:
        return msgspec.convert(read_yaml(path), _Links).files
    except msgspec.ValidationError:
        raise InputError(
            f"{path} has another form, expected a list `files` of path, sha256, bytes, trajectories"
        ) from None


def require_linked(link: Link) -> Path:
    """Return the path of a linked file."""
    path = Path(link.path)
    if not path.is_file():
        raise InputError(
            f"{link.path} has vanished, expected the file of sha256 {link.sha256} that was linked "
            "when the dataset was made: put it back or set data.root"
        )
    if path.stat().st_size != link.bytes:
        raise InputError(
            f"{link.path} was changed: it has {path.stat().st_size} bytes, expected {link.bytes} "
            f"(sha256 {link.sha256}) as when it was linked"
        )
    return path
