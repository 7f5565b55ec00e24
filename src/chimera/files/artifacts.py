"""The one place that reads, writes and hashes files.

Everything is written whole or not at all: into a temporary file beside the target, synced, then
renamed over it. Whatever a file turns out to be, the reader gets what it asked for or one sentence
that names the file.
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
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it when the block ends without an error.

    Raises:
        InputError: If the disk is full or the folder cannot be written; `path` stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot write {path}: {reason}; it was left as it was") from error
    finally:
        with suppress(OSError):  # already moved, or the folder is none
            temporary.unlink()


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path` that replaces it when the block ends without an error.

    Raises:
        InputError: If the disk is full or the folder cannot be written; `path` stays as it was.
    """
    fresh, former = (path.with_name(f".{path.name}.{part}") for part in ("new", "old"))
    try:
        for left_over in (fresh, former):  # by a run that was killed
            shutil.rmtree(left_over, ignore_errors=True)
        fresh.mkdir(parents=True)
        yield fresh
        for file in fresh.rglob("*"):
            if file.is_file():
                with file.open("rb") as stream:
                    os.fsync(stream.fileno())
        if path.exists():
            path.rename(former)
        fresh.rename(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot write {path}: {reason}; it was left as it was") from error
    finally:
        if former.exists() and not path.exists():
            former.rename(path)
        for left_over in (fresh, former):
            shutil.rmtree(left_over, ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write text as UTF-8, whole or not at all."""
    write_bytes(path, content.encode())


def read_bytes(path: Path) -> bytes:
    """Return a file's content.

    Raises:
        InputError: If it is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def sha256(path: Path, advance: Callable[[int], object] = lambda _: None) -> str:
    """Return the sha256 of a file in hexadecimal; `advance` is told each number of bytes read.

    Raises:
        InputError: If the file is missing or cannot be read.
    """
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
    """Return what a YAML file holds.

    Raises:
        InputError: If it is missing or not YAML.
    """
    try:
        return yaml.safe_load(read_bytes(path))
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2026-13-45
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from None


def write_yaml(path: Path, content: Any) -> None:
    """Write plain values as YAML, keys in the order given."""
    write_text(path, yaml.safe_dump(content, sort_keys=False, width=100))


def read_json(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        InputError: If it is missing or not JSON.
    """
    try:
        return json.loads(read_bytes(path))
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from None


def write_json(path: Path, content: Any, digits: int | None = None) -> None:
    """Write plain values as JSON, numbers with so many significant digits or with all of them.

    Raises:
        InputError: If a number is not finite: no reader of a metric could tell it from a mistake.
    """
    for key, value in _numbers(content):
        if not math.isfinite(value):
            raise InputError(f"{path}: {key} is {value}, expected a finite number")
    rounded = content if digits is None else _rounded(content, digits)
    write_text(path, json.dumps(rounded, indent=2) + "\n")


def _rounded(content: Any, digits: int) -> Any:
    if isinstance(content, Mapping):
        return {name: _rounded(value, digits) for name, value in content.items()}
    return float(f"{content:.{digits}g}") if isinstance(content, float) else content


def _numbers(content: Any, key: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(content, Mapping):
        for name, value in content.items():
            yield from _numbers(value, f"{key}.{name}" if key else str(name))
    elif isinstance(content, list | tuple):
        for number, value in enumerate(content):
            yield from _numbers(value, f"{key}[{number}]")
    elif isinstance(content, float):
        yield key, content


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
    """Return the rows of a CSV file by the names in its header, as text.

    Raises:
        InputError: If it is missing or not text.
    """
    try:
        return list(csv.DictReader(io.StringIO(read_bytes(path).decode(), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not CSV: {error}") from None


def read_params(path: Path = Path("params.yaml")) -> dict[str, Any]:
    """Return params.yaml.

    Raises:
        InputError: If it is missing, not YAML or not a mapping.
    """
    params = read_yaml(path)
    if not isinstance(params, dict):
        raise InputError(f"{path} holds {params!r}, expected a mapping of sections")
    return params
