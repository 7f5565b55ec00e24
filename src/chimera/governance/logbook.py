"""The append-only logs Decision_Log.md and Deviation_Log.md: numbered headings, lists of fields."""

import hashlib
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from chimera.files.artifacts import SCRATCH, locked, read_bytes, read_text, write_text
from chimera.interface.errors import InputError

_HEADING = re.compile(r"^## (\d+)\. ", flags=re.MULTILINE)
_ENTRY = re.compile(r"^## \d+\. (.+)\n((?:(?!## )(?:.+\n?|\n))*)", flags=re.MULTILINE)
_FIELD = re.compile(r"^- (\w+): (.*)$", flags=re.MULTILINE)


def append_entry(path: Path, title: str, fields: Mapping[str, str]) -> int:
    """Append an entry of one-line title and fields, else InputError, and return its number."""
    for name, value in ({"title": title} | dict(fields)).items():
        if not value.strip() or "\n" in value:
            raise InputError(f"{name} is {value!r}, expected one line that is not empty")
    with locked(SCRATCH / f"{path.name}.lock"):
        text = read_text(path)
        number = 1 + max((int(n) for n in _HEADING.findall(text)), default=0)
        lines = [f"## {number}. {title}", *(f"- {name}: {value}" for name, value in fields.items())]
        write_text(path, text.rstrip("\n") + "\n\n" + "\n".join(lines) + "\n")
    return number


def entries(text: str) -> list[dict[str, str]]:
    """Return the fields of every entry of a log in order, with its `title`."""
    return [{"title": title} | dict(_FIELD.findall(body)) for title, body in _ENTRY.findall(text)]


def named_keys(text: str) -> set[str]:
    """Return the parameters that the entries of a deviation log name."""
    return {value for name, value in _FIELD.findall(text) if name == "key"}


def require_appended(path: Path, base: str) -> None:
    """Require that a log begins with its content at the merge base of HEAD and `base`.

    In the repository's root. InputError with the first line that differs, or for an unknown base.
    """
    (commit, before), now = _at_merge_base(path, base), read_bytes(path)
    if before is None or now.startswith(before):
        return  # the log is newer, or longer
    pairs = zip(before.splitlines(), [*now.splitlines(), b""], strict=False)
    line = next((n for n, (a, b) in enumerate(pairs, start=1) if a != b), len(now.splitlines()) + 1)
    edited = f"{path} was edited or cut at line {line} since {commit[:10]}"
    raise InputError(f"{edited}, expected that entries are only added at the end")


def require_amended(path: Path, log: Path, base: str) -> None:
    """Require that a file is as its last amendment in a log says, and newer only by an amendment.

    An amendment is an entry of the log with the field `sha256`, that of the whole file. InputError
    if the file differs from the one at the merge base of HEAD and `base` and no amendment was added
    since, or if the last amendment names another content.
    """
    now, amendments = read_bytes(path), _amendments(read_text(log))
    digest = hashlib.sha256(now).hexdigest()
    remedy = 'expected an entry by `python -m chimera.commands.log amendment "REASON"`'
    if amendments and amendments[-1] != digest:
        raise InputError(f"{path} is not what the last amendment in {log} names, {remedy}")
    (commit, before), (_, old) = (_at_merge_base(file, base) for file in (path, log))
    if before not in (None, now) and len(amendments) == len(_amendments((old or b"").decode())):
        raise InputError(f"{path} was edited since {commit[:10]} without an amendment, {remedy}")


def _at_merge_base(path: Path, base: str) -> tuple[str, bytes | None]:
    """Return the merge base of HEAD and `base`, and the file as it was there, None if absent."""
    commit = git("merge-base", base, "HEAD").decode().strip()
    has_file = git("ls-tree", commit, "--", str(path))
    return commit, git("show", f"{commit}:{path.as_posix()}") if has_file else None


def _amendments(text: str) -> list[str]:
    return [entry["sha256"] for entry in entries(text) if "sha256" in entry]


def git(*arguments: str, otherwise: str = "") -> bytes:
    """Return the output of a git command; InputError with git's words, or with `otherwise`."""
    result = subprocess.run(["git", *arguments], capture_output=True, check=False)
    if result.returncode:
        failed = f"git {' '.join(arguments)} failed: {result.stderr.decode().strip()}"
        raise InputError(otherwise or failed)
    return result.stdout
