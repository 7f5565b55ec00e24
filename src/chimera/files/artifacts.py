"""Atomic writing, reading and hashing of files.

A file is written to a temporary file beside the target, synced and renamed, so that the target is
never incomplete. Readers raise an InputError that names the file if it is missing or malformed.
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

Row = dict[str, str | int | float]  # row of a table, by column

_CHUNK = 1 << 20


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it when the block ends without an error.

    Raises:
        InputError: If the disk is full or the folder cannot be written; `path` is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync(temporary)
        temporary.replace(path)
    except OSError as error:
        raise _write_error(path, error) from error
    finally:
        with suppress(OSError):  # already renamed, or never created
            temporary.unlink()


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`, which replaces it and raises as `whole_file` does."""
    fresh, former = (path.with_name(f".{path.name}.{part}") for part in ("new", "old"))
    try:
        for left_over in (fresh, former):  # of a run that was killed
            shutil.rmtree(left_over, ignore_errors=True)
        fresh.mkdir(parents=True)
        yield fresh
        for file in filter(Path.is_file, fresh.rglob("*")):
            _sync(file)
        if path.exists():
            path.rename(former)
        fresh.rename(path)
    except OSError as error:
        raise _write_error(path, error) from error
    finally:
        if former.exists() and not path.exists():
            former.rename(path)
        for left_over in (fresh, former):
            shutil.rmtree(left_over, ignore_errors=True)


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _write_error(path: Path, error: OSError) -> InputError:
    return InputError(f"cannot write {path}: {error.strerror or error}; it was not changed")


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write text as UTF-8, whole or not at all."""
    write_bytes(path, content.encode())


def read_bytes(path: Path) -> bytes:
    """Return the content of a file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def sha256(path: Path, advance: Callable[[int], object] = lambda _: None) -> str:
    """Return the sha256 of a file in hexadecimal; call `advance` with each number of bytes read."""
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
    return parse_yaml(read_bytes(path), str(path))


def parse_yaml(text: bytes | str, name: str) -> Any:
    """Return the content of the YAML that `name` holds."""
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2026-13-45
        raise InputError(f"{name} is not YAML: {' '.join(str(error).split())}") from None


def write_yaml(path: Path, content: Any) -> None:
    """Write plain values as YAML, keys in the order given."""
    write_text(path, yaml.safe_dump(content, sort_keys=False, width=100))


def read_json(path: Path) -> Any:
    """Return the content of a JSON file."""
    content = read_bytes(path)
    try:
        return json.loads(content)
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from None


def write_json(path: Path, content: Any, digits: int | None = None) -> None:
    """Write plain values as JSON, floats with all or with `digits` significant digits.

    Raises:
        InputError: If a number is not finite.
    """

    def rounded(value: Any, key: str) -> Any:
        if isinstance(value, Mapping):
            return {k: rounded(v, f"{key}.{k}" if key else str(k)) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [rounded(v, f"{key}[{number}]") for number, v in enumerate(value)]
        if not isinstance(value, float):
            return value
        if not math.isfinite(value):
            raise InputError(f"{path}: {key} is {value}, expected a finite number")
        return value if digits is None else float(f"{value:.{digits}g}")

    write_text(path, json.dumps(rounded(content, ""), indent=2) + "\n")


def write_csv(path: Path, rows: Sequence[Mapping[str, object]], digits: int = 9) -> None:
    """Write rows, the keys of the first as header and floats to `digits` significant digits."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {k: f"{v:.{digits}g}" if isinstance(v, float) else v for k, v in row.items()}
        )
    write_text(path, stream.getvalue())


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file as text, by the names in its header."""
    content = read_bytes(path)
    try:
        return list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not CSV: {error}") from None


def read_params(path: Path = Path("params.yaml")) -> dict[str, Any]:
    """Return the sections of params.yaml."""
    params = read_yaml(path)
    if not isinstance(params, dict):
        raise InputError(f"{path} holds {params!r}, expected a mapping of sections")
    return params
