"""Verification of the data: every file is as it was written, and is the frozen data.

Two questions. Is a file as it was written? Its dataset's checksums.yaml records its sha256; other
bytes are `mismatched`. Is it the frozen data? A manifest in git records that: equal sha256 is
`exact`; a generated file of the same recipe with an agreeing fingerprint is `equivalent` (another
processor rounds differently); anything else is `mismatched`. A file that no manifest lists is
`unfrozen`: the study runs, and is exploratory.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff
from functools import cache, partial
from pathlib import Path
from textwrap import indent
from typing import Any

import numpy as np
import yaml

from chimera.data.checksums import Entry, format_entries, read_entries
from chimera.data.layout.conditioning import with_logarithms
from chimera.data.layout.links import NAME, read_links, require_linked
from chimera.data.layout.splits import Split
from chimera.files.artifacts import read_text, sha256, write_text
from chimera.interface.errors import InputError

VERDICTS = ("exact", "equivalent", "mismatched", "missing", "unfrozen")

# Relative difference that rounding may cause in a fingerprint (chimera.data.sources.simulation).
FINGERPRINT_TOLERANCE = 1e-5

_HEADER = """\
# The frozen data of the study. An entry whose sha256 is null is filled in by `make hash_missing`.
files:
"""


@dataclass(frozen=True)
class FileVerdict:
    """One of VERDICTS on one file, the sha256 that was found and, for a fault, a sentence."""

    path: str
    verdict: str
    sha256: str
    fault: str = ""


def manifest_path(folder: Path, dataset: str, datasets: Sequence[str]) -> Path:
    """Return the manifest that lists a dataset: the first is IND, every other OOD."""
    return folder / ("IND_MANIFEST.yaml" if dataset == datasets[0] else "OOD_MANIFEST.yaml")


def agree(one: Entry | None, other: Entry | None) -> bool:
    """Return whether two fingerprints have equal recipes, and numbers within the tolerance."""
    if not one or not other or one.keys() != other.keys():
        return False
    if "recipe" not in one or one["recipe"] != other["recipe"]:
        return False
    names = one.keys() - {"recipe"}
    pairs = [[np.array(side[name], dtype=float) for side in (one, other)] for name in names]
    close = partial(np.allclose, rtol=FINGERPRINT_TOLERANCE, atol=0.0)
    return all(a.shape == b.shape and close(a, b) for a, b in pairs)


def read_written(dataset: str) -> dict[str, Entry]:
    """Return the entries of data/<dataset>/checksums.yaml by path."""
    return read_entries(Path("data") / dataset / "checksums.yaml")


def check_intact(dataset: str, advance: Callable[[int], object]) -> list[FileVerdict]:
    """Compare every file of a dataset with its checksums.yaml; an intact one is `unfrozen` here."""
    digest = cache(partial(sha256, advance=advance))  # reads a file of several splits once
    return [_check_file(p, e["sha256"], digest) for p, e in read_written(dataset).items()]


def _check_file(name: str, expected: str, digest: Callable[[Path], str]) -> FileVerdict:
    """Return the verdict on a file, and on those that it links to."""
    path = Path(name)
    if not path.exists():
        return _missing(name, expected)
    found = digest(path)
    verdict = FileVerdict(name, "unfrozen", found)
    if found != expected:
        fault = f"{name} was changed: its sha256 is {found}, expected {expected} as written"
        return replace(verdict, verdict="mismatched", fault=fault)
    for link in read_links(path) if path.name == NAME else ():
        try:
            linked = digest(require_linked(link))
            if linked != link.sha256:
                raise InputError(
                    f"{link.path} was changed: its sha256 is {linked}, expected {link.sha256}"
                )
        except InputError as error:
            kind = "mismatched" if Path(link.path).exists() else "missing"
            return replace(verdict, verdict=kind, fault=str(error))
    return verdict


def _missing(path: str, expected: str) -> FileVerdict:
    fault = f"{path} is missing, expected a file of sha256 {expected}"
    return FileVerdict(path, "missing", "", fault)


def stored_bytes(datasets: Sequence[str]) -> int:
    """Return the bytes that verification hashes: files of data/ and linked files, each once."""
    total = 0
    for dataset in datasets:
        folder = Path("data") / dataset
        linked = {link for path in folder.rglob(NAME) for link in read_links(path)}
        total += sum({link.path: link.bytes for link in linked}.values())
        total += sum(file.stat().st_size for file in folder.rglob("*.hdf5"))
    return total


def verify(
    datasets: Sequence[str], manifests: Path, advance: Callable[[int], object]
) -> list[FileVerdict]:
    """Return the verdict on every file of every dataset (IND first), and on every frozen file."""
    return [
        verdict
        for dataset in datasets
        for verdict in _verify(dataset, manifest_path(manifests, dataset, datasets), advance)
    ]


def _verify(
    dataset: str, manifest: Path, advance: Callable[[int], object]
) -> Iterator[FileVerdict]:
    prefix = f"data/{dataset}/"
    frozen = {p: e for p, e in read_entries(manifest).items() if p.startswith(prefix)}
    written = read_written(dataset)
    if not written and not frozen:
        path = f"{prefix}checksums.yaml"
        fault = f"{path} is missing, expected generated data: run `make repro`"
        yield FileVerdict(path, "missing", "", fault)
        return
    intact = {verdict.path: verdict for verdict in check_intact(dataset, advance)}
    for path in written | frozen:
        if path in intact:
            verdict = intact[path]
        elif Path(path).exists():  # without an entry of its own only its bytes can agree
            verdict = FileVerdict(path, "unfrozen", sha256(Path(path), advance))
        else:
            verdict = _missing(path, frozen[path]["sha256"])
        if path in frozen and not verdict.fault:
            verdict = _compare(verdict, frozen[path], written.get(path, {}), manifest)
        yield verdict
    for path in sorted(file.as_posix() for file in Path(prefix).rglob("*.hdf5")):
        if path not in written and path not in frozen:  # it would be read with its split
            fault = f"{path} is not known, expected files of {prefix}checksums.yaml alone"
            yield FileVerdict(path, "mismatched", sha256(Path(path), advance), fault)


def _compare(verdict: FileVerdict, frozen: Entry, written: Entry, manifest: Path) -> FileVerdict:
    path, found, expected = verdict.path, verdict.sha256, frozen["sha256"]
    if expected is None:
        fault = f"{path} has sha256 null in {manifest}, expected a hash: run `make hash_missing`"
        return replace(verdict, fault=fault)
    if found == expected:
        return replace(verdict, verdict="exact")
    generated = frozen.get("origin") == written.get("origin") == "generated"
    if generated and agree(frozen.get("fingerprint"), written.get("fingerprint")):
        return replace(verdict, verdict="equivalent")
    fault = f"{path} is not the frozen data: its sha256 is {found}, expected {expected}"
    remedy = f"({manifest}); data of other settings have a data.manifests of their own"
    return replace(verdict, verdict="mismatched", fault=f"{fault} {remedy}")


def require_inputs(
    datasets: Sequence[str], fields: Sequence[str], conditioning: Sequence[str]
) -> None:
    """Refuse a test split without the fields, or the conditioning as the training has it."""
    folders = [Path("data") / dataset / "data" for dataset in datasets]
    names = with_logarithms(conditioning, Split(folders[0] / "train", fields).scalars)
    for folder in folders:
        Split(folder / "test", fields, names)


def counts(verdicts: Sequence[FileVerdict]) -> dict[str, int]:
    """Return `files` and the number of files of each verdict."""
    tally = Counter(verdict.verdict for verdict in verdicts)
    return {"files": len(verdicts)} | {name: tally[name] for name in VERDICTS}


def require_verified(verdicts: Iterable[FileVerdict]) -> None:
    """Refuse data with a fault."""
    faults = [verdict.fault for verdict in verdicts if verdict.fault]
    if faults:
        more = f" ({len(faults) - 1} more such files)" if len(faults) > 1 else ""
        raise InputError(faults[0] + more)


def hash_missing(datasets: Sequence[str], manifests: Path) -> str:
    """Fill in every sha256 that a manifest leaves null, and list the files that it does not list.

    Each manifest is replaced as a whole, other lines unchanged. Returns the diff, empty if none.
    """
    require_verified(v for dataset in datasets for v in check_intact(dataset, lambda _: None))
    written: dict[Path, dict[str, Entry]] = defaultdict(dict)
    for dataset in datasets:
        written[manifest_path(manifests, dataset, datasets)] |= read_written(dataset)
    diff = ""
    for manifest, entries in written.items():
        before = read_text(manifest) if manifest.exists() else ""
        listed = read_entries(manifest)
        new = [entry for path, entry in entries.items() if path not in listed]
        added = _HEADER + format_entries(new) if new else ""
        after = _completed(manifest, before, new) if before else added
        if after != before:
            write_text(manifest, after)
            lines = unified_diff(before.splitlines(), after.splitlines(), n=1, lineterm="")
            diff += "\n".join([f"{manifest}:", *list(lines)[2:], ""])
    return diff


def _completed(manifest: Path, text: str, new: Sequence[Entry]) -> str:
    """Return a manifest's text with new entries at its end and each null replaced by its hash."""
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    files = next(value for key, value in root.value if key.value == "files")
    if new:
        if files.flow_style:
            raise InputError(f"{manifest} lists files in brackets, expected a dash before each one")
        head, tail = text[: files.end_mark.index], text[files.end_mark.index :]
        line = "" if head.endswith("\n") else "\n"
        text = head + line + indent(format_entries(new), " " * files.start_mark.column) + tail
    for entry in reversed(files.value):  # from the end, so that the marks before it stay valid
        nodes = {key.value: value for key, value in entry.value}
        digest = nodes["sha256"]
        if digest.tag == "tag:yaml.org,2002:null":
            start, end = digest.start_mark.index, digest.end_mark.index
            space = " " if text[start - 1] == ":" else ""
            text = text[:start] + space + sha256(Path(nodes["path"].value)) + text[end:]
    return text
