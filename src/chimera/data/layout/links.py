"""Trajectories that stay where they are: `links.yaml` in the folder of a split.

A list `files` of {path, sha256, bytes, trajectories}: the file, what its bytes must be, and which
of its trajectories belong to the split, in this order. It is all that the folder then holds.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from chimera.interface.errors import InputError

NAME = "links.yaml"


@dataclass(frozen=True)
class Link:
    """Some trajectories of one file."""

    path: str
    sha256: str
    bytes: int
    trajectories: tuple[int, ...]


def format_links(links: list[Link]) -> str:
    """Return the content of a links.yaml."""
    listed = [asdict(link) | {"trajectories": list(link.trajectories)} for link in links]
    return yaml.safe_dump(
        {"files": listed}, sort_keys=False, default_flow_style=None, width=1 << 20
    )


def read_links(path: Path) -> list[Link]:
    """Return the links of a links.yaml.

    Raises:
        InputError: If it is missing or has another form.
    """
    try:
        content: Any = yaml.safe_load(path.read_text())
        entries = content["files"]
        return [
            Link(
                str(entry["path"]),
                str(entry["sha256"]),
                int(entry["bytes"]),
                tuple(int(number) for number in entry["trajectories"]),
            )
            for entry in entries
            if isinstance(entry, Mapping)
        ]
    except FileNotFoundError:
        raise InputError(f"{path} is not there, expected a list of files") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError):
        raise InputError(
            f"{path} has another form, expected a list `files` of path, sha256, bytes, trajectories"
        ) from None


def require_linked(link: Link) -> Path:
    """Return the path of a linked file that is still there.

    Raises:
        InputError: If it has vanished or its size has changed.
    """
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
