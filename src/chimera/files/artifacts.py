"""Atomic writing, reading and hashing of files.

A file is written to a temporary file, synced and renamed, so that the target is never incomplete.
Readers raise an InputError that names the file if it is missing or malformed; so does a key that
is missing in what they return.
"""

import csv
import fcntl
import hashlib
import io
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from chimera.interface.errors import InputError

Row = dict[str, str | int | float]  # row of a table, by column

SCRATCH = Path(".scratch")
PARTIAL = SCRATCH / "partial"
_CHUNK = 1 << 20


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which is made, after any process that has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` when the block ends without an error.

    A full disk or a folder that cannot be written is an InputError, and leaves `path` unchanged.
    """
    with _temporary(path) as folder:
        fresh = folder / path.name
        yield fresh
        _sync(fresh)
        fresh.replace(path)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder, which replaces `path` and raises as `whole_file` does."""
    with _temporary(path) as folder:
        fresh, former = folder / "fresh", folder / "former"
        fresh.mkdir()
        yield fresh
        for file in filter(Path.is_file, fresh.rglob("*")):
            _sync(file)
        if path.exists():
            path.rename(former)
        try:
            fresh.rename(path)
        except OSError:
            former.rename(path)
            raise


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """Yield a new folder on the device of `path`, which is removed in the end.

    It is in .scratch, which no stage depends on, or beside a `path` on another device. What ended
    processes left behind is removed.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        home, name = path.parent, f".{path.name}"
        if not path.is_absolute():
            PARTIAL.mkdir(parents=True, exist_ok=True)
            if PARTIAL.stat().st_dev == home.stat().st_dev:
                home, name = PARTIAL, ""
        for left_over in home.glob(f".*{name}.[0-9]*"):
            if not _is_running(int(left_over.suffix[1:])):
                shutil.rmtree(left_over, ignore_errors=True)
        suffix = f"{name}.{os.getpid()}"
        with TemporaryDirectory(suffix, ".", home, ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot write {path}: {reason}; it was not changed") from error


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)
    return True


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes, whole or not at all."""
    with whole_file(path) as fresh:
        fresh.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write text as UTF-8, whole or not at all."""
    write_bytes(path, content.encode())


def read_bytes(path: Path) -> bytes:
    """Return the content of a file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def read_text(path: Path) -> str:
    """Return the content of a file of UTF-8."""
    try:
        return read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8: {error}") from None


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


class Section(dict[str, Any]):
    """A mapping of a file, which is named where a key is missing."""

    def __init__(self, content: Any = (), name: str = "") -> None:
        super().__init__(content)
        self.name = name

    def __missing__(self, key: object) -> Any:
        raise InputError(f"{self.name} has no {key!r} among {', '.join(map(str, self))}")


class _Loader(yaml.SafeLoader):  # libyaml's overflows the stack on a file of brackets
    place = ""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Refuse a key that is there twice, of which the last would be taken."""
        node, known = super().compose_mapping_node(anchor), dict[tuple[str, str], Any]()
        for key, _ in node.value:
            if (first := known.setdefault((key.tag, str(key.value)), key)) is not key:
                lines = f"line {first.start_mark.line + 1} and in line {key.start_mark.line + 1}"
                raise ValueError(f"the key {key.value} is in {lines}")
        return node


def _section(loader: Any, node: Any) -> Iterator[Section]:
    section = Section(name=loader.place)
    yield section
    section.update(loader.construct_mapping(node))


_Loader.add_constructor("tag:yaml.org,2002:map", _section)
yaml.SafeDumper.add_representer(Section, yaml.SafeDumper.represent_dict)


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file."""
    return parse_yaml(read_bytes(path), str(path))


def parse_yaml(text: bytes | str, name: str) -> Any:
    """Return the content of the YAML that `name` holds."""
    try:
        loader = _Loader(text)
        loader.place = name
        return loader.get_single_data()
    # ValueError: a date such as 2026-13-45. RecursionError: brackets in brackets, a thousand deep.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{name} is not YAML: {' '.join(str(error).split())}") from None


def write_yaml(path: Path, content: Any) -> None:
    """Write plain values as YAML, keys in the order given."""
    write_text(path, yaml.safe_dump(content, sort_keys=False, width=100))


def read_json(path: Path) -> Any:
    """Return the content of a JSON file."""
    content = read_bytes(path)

    def refuse(constant: str) -> None:
        raise ValueError(f"it has {constant}, expected finite numbers")

    try:
        section = partial(Section, name=str(path))
        return json.loads(content, object_hook=section, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}") from None


def write_json(path: Path, content: Any, digits: int | None = None) -> None:
    """Write JSON, floats to all or `digits` significant digits; InputError if one is not finite."""

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
        shown = {k: f"{v:.{digits}g}" if isinstance(v, float) else v for k, v in row.items()}
        writer.writerow(shown)
    write_text(path, stream.getvalue())


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file as text, by the names in its header."""
    content = read_text(path)
    try:
        rows = list(csv.reader(io.StringIO(content, newline="")))
    except csv.Error as error:
        raise InputError(f"{path} is not CSV: {error}") from None
    header = rows[0] if rows else []
    for line, row in enumerate(rows, start=1):
        if row and len(row) != len(header):
            stated = f"{path}: line {line} has {len(row)} values"
            raise InputError(f"{stated}, expected {len(header)} as the header has")
    return [dict(zip(header, row, strict=True)) for row in rows[1:] if row]


def read_params(path: Path = Path("params.yaml")) -> dict[str, Any]:
    """Return the sections of params.yaml."""
    if not path.exists():
        raise InputError(f"{path} does not exist in {Path.cwd()}, expected a study's parameters")
    params = read_yaml(path)
    if not isinstance(params, dict):
        raise InputError(f"{path} holds {params!r}, expected a mapping of sections")
    return params
