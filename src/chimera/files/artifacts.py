"""Reading, writing and hashing of files.

A file is written completely or not at all: into a temporary file beside the target, synced, then
renamed over it. What cannot be read or written is an InputError that names the file.
"""

import csv
import hashlib
import io
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from chimera.interface.errors import InputError

Row = dict[str, str | int | float]  # of a table, by column

_CHUNK = 1 << 20


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot write {path}: {reason}; it was left as it was") from error


def _sync(file: Path) -> None:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it when the block ends without an error.

    Raises:
        InputError: If the disk is full or the folder cannot be written; `path` is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            _sync(temporary)
            temporary.replace(path)
    finally:
        with suppress(OSError):  # already moved, or the folder does not exist
            temporary.unlink()


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path` that replaces it, see `whole_file`."""
    fresh, former = (path.with_name(f".{path.name}.{part}") for part in ("new", "old"))
    try:
        with _explained(path):
            for left_over in (fresh, former):  # by a run that was killed
                shutil.rmtree(left_over, ignore_errors=True)
            fresh.mkdir(parents=True)
            yield fresh
            for file in filter(Path.is_file, fresh.rglob("*")):
                _sync(file)
            if path.exists():
                path.rename(former)
            fresh.rename(path)
    finally:
        if former.exists() and not path.exists():
            former.rename(path)
        for left_over in (fresh, former):
            shutil.rmtree(left_over, ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes as `whole_file`."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write text as UTF-8."""
    write_bytes(path, content.encode())


def read_bytes(path: Path) -> bytes:
    """Return a file's content."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def sha256(path: Path, advance: Callable[[int], object] = lambda _: None) -> str:
    """Return the sha256 of a file in hexadecimal; `advance` is called with each chunk's size."""
    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                advance(len(chunk))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    return digest.hexdigest()


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file."""
    content = read_bytes(path)
    try:
        return yaml.safe_load(content)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2026-13-45
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from None


def write_yaml(path: Path, content: Any) -> None:
    """Write plain values as YAML, keys in their order."""
    write_text(path, yaml.safe_dump(content, sort_keys=False, width=100))


def read_json(path: Path) -> Any:
    """Return the content of a JSON file."""
    content = read_bytes(path)
    try:
        return json.loads(content)
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from None


def write_json(path: Path, content: Any, digits: int | None = None) -> None:
    """Write plain values as JSON, numbers with so many significant digits or with all of them.

    Raises:
        InputError: If a number is not finite, since readers could not tell its meaning.
    """
    write_text(path, json.dumps(_finite(content, digits, str(path)), indent=2) + "\n")


def _finite(content: Any, digits: int | None, name: str, key: str = "") -> Any:
    """Return the content with rounded numbers, or raise InputError if one is not finite."""
    if isinstance(content, Mapping):
        start = f"{key}." if key else ""
        return {k: _finite(v, digits, name, f"{start}{k}") for k, v in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(v, digits, name, f"{key}[{i}]") for i, v in enumerate(content)]
    if not isinstance(content, float):
        return content
    if not math.isfinite(content):
        raise InputError(f"{name}: {key} is {content}, expected a finite number")
    return content if digits is None else float(f"{content:.{digits}g}")


def write_csv(path: Path, rows: Sequence[Mapping[str, object]], digits: int = 9) -> None:
    """Write rows with the keys of the first as header, floats with so many significant digits."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {k: f"{v:.{digits}g}" if isinstance(v, float) else v for k, v in row.items()}
        )
    write_text(path, stream.getvalue())


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file by the names in its header, as text."""
    try:
        return list(csv.DictReader(io.StringIO(read_bytes(path).decode(), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not CSV: {error}") from None


def read_params(path: Path = Path("params.yaml")) -> dict[str, Any]:
    """Return params.yaml."""
    params = read_yaml(path)
    if not isinstance(params, dict):
        raise InputError(f"{path} holds {params!r}, expected a mapping of sections")
    return params
