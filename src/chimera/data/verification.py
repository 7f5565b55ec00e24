"""Whether the data are what the study was frozen on.

Two questions, never mixed. Is a file what was written here? The dataset's checksums.yaml, written
with it, says so: any other bytes are `mismatched`. Is it the frozen data? A manifest in git says
so: equal sha256 is `exact`; for generated files, the same recipe with fingerprints in agreement is
`equivalent` (another processor rounds differently); anything else is `mismatched`. A file that no
manifest lists is `unfrozen`: it runs, and the study is exploratory.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from textwrap import indent
from typing import Any

import numpy as np
import yaml

from chimera.data.checksums import Entry, format_entries, read_entries
from chimera.data.layout.leakage import Frames
from chimera.data.layout.links import NAME, read_links, require_linked
from chimera.files.arrays import read_arrays
from chimera.files.artifacts import read_bytes, sha256, write_text
from chimera.interface.errors import InputError

VERDICTS = ("exact", "equivalent", "mismatched", "missing", "unfrozen")

# Relative difference that rounding may cause in a fingerprint (chimera.data.sources.fingerprint).
FINGERPRINT_TOLERANCE = 1e-5

_HEADER = """\
# The frozen data of the study. An entry whose sha256 is null is filled in by `make hash_missing`.
files:
"""


@dataclass(frozen=True)
class FileVerdict:
    """One of VERDICTS on one file, its sha256 as found and, for a fault, the sentence."""

    path: str
    verdict: str
    sha256: str
    fault: str = ""


def manifest_path(folder: Path, dataset: str, datasets: Sequence[str]) -> Path:
    """Return the manifest that a dataset belongs to: the first is IND, every other OOD."""
    return folder / ("IND_MANIFEST.yaml" if dataset == datasets[0] else "OOD_MANIFEST.yaml")


def agree(one: Entry | None, other: Entry | None) -> bool:
    """Return whether two fingerprints are of one flow: equal recipes, numbers within 1e-5."""
    if not one or not other or one.keys() != other.keys():
        return False
    if "recipe" not in one or one["recipe"] != other["recipe"]:
        return False
    for name in one.keys() - {"recipe"}:
        a, b = np.array(one[name], dtype=float), np.array(other[name], dtype=float)
        if a.shape != b.shape or not np.allclose(a, b, rtol=FINGERPRINT_TOLERANCE, atol=0.0):
            return False
    return True


def _written(dataset: str) -> dict[str, Entry]:
    return read_entries(Path("data") / dataset / "checksums.yaml")


def intact(dataset: str, advance: Callable[[int], object]) -> list[FileVerdict]:
    """Answer the first question for every file of a dataset; an intact one is `unfrozen` so far.

    Args:
        dataset: Its folder is data/<dataset>, its record checksums.yaml.
        advance: Told the bytes that were hashed.
    """
    verdicts = []
    hashes: dict[str, str] = {}  # a file that several splits link to is read once
    for name, entry in _written(dataset).items():
        path = Path(name)
        if not path.exists():
            fault = f"{name} is missing, expected a file of sha256 {entry['sha256']}"
            verdicts.append(FileVerdict(name, "missing", "", fault))
            continue
        found = sha256(path, advance)
        fault = f"{name} was changed: its sha256 is {found}, expected {entry['sha256']} as written"
        same = found == entry["sha256"]
        verdicts.append(
            FileVerdict(name, "unfrozen" if same else "mismatched", found, "" if same else fault)
        )
        if same and path.name == NAME:
            verdicts[-1] = _linked(verdicts[-1], hashes, advance)
    return verdicts


def _linked(
    listing: FileVerdict, hashes: dict[str, str], advance: Callable[[int], object]
) -> FileVerdict:
    """Return the verdict on a links.yaml: its own while all its files are as they were linked."""
    for link in read_links(Path(listing.path)):
        try:
            path = require_linked(link)
        except InputError as error:
            there = Path(link.path).exists()
            verdict = "mismatched" if there else "missing"
            return FileVerdict(listing.path, verdict, listing.sha256, str(error))
        if link.path not in hashes:
            hashes[link.path] = sha256(path, advance)
        if hashes[link.path] != link.sha256:
            fault = f"{link.path} was changed: its sha256 is {hashes[link.path]}, expected "
            fault += f"{link.sha256} as when it was linked ({listing.path})"
            return FileVerdict(listing.path, "mismatched", listing.sha256, fault)
    return listing


def read_frames(gates: Path, datasets: Sequence[str]) -> dict[str, Frames]:
    """Return the frames of every split of every dataset, as the stage generate left them.

    Raises:
        InputError: If a record is missing or broken.
    """
    found = {}
    for dataset in datasets:
        arrays = read_arrays(gates / dataset / "frames.npz")
        for name in [name for name in arrays if not name.endswith(".places")]:
            places = arrays[f"{name}.places"].tolist()
            found[f"data/{dataset}/data/{name}"] = Frames(arrays[name], places)
    return found


def stored_bytes(datasets: Sequence[str]) -> int:
    """Return the bytes that verification hashes: files of data/, and what they link to, once."""
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
    """Answer both questions for every file of every dataset, and for every frozen file.

    Raises:
        InputError: If a manifest cannot be read.
    """
    verdicts: list[FileVerdict] = []
    for dataset in datasets:
        manifest = manifest_path(manifests, dataset, datasets)
        prefix = f"data/{dataset}/"
        frozen = {p: e for p, e in read_entries(manifest).items() if p.startswith(prefix)}
        written = _written(dataset)
        if not written and not frozen:
            fault = f"{prefix}checksums.yaml is missing, expected generated data: run `make repro`"
            verdicts.append(FileVerdict(f"{prefix}checksums.yaml", "missing", "", fault))
        for verdict in intact(dataset, advance):
            if verdict.fault or verdict.path not in frozen:
                verdicts.append(verdict)
            else:
                entry, here = frozen[verdict.path], written[verdict.path]
                verdicts.append(_compare(verdict, entry, here, manifest))
        for path in [path for path in frozen if path not in written]:
            if not Path(path).exists():
                fault = f"{path} is missing, expected a file of sha256 {frozen[path]['sha256']}"
                verdicts.append(FileVerdict(path, "missing", "", fault))
            else:  # nothing says how it was written: only its bytes can agree
                found = FileVerdict(path, "unfrozen", sha256(Path(path), advance))
                verdicts.append(_compare(found, frozen[path], {}, manifest))
        known = written.keys() | frozen.keys()
        for path in sorted(file.as_posix() for file in Path(prefix).rglob("*.hdf5")):
            if known and path not in known:  # it would be read with its split
                fault = f"{path} is not known, expected files of {prefix}checksums.yaml alone"
                verdicts.append(FileVerdict(path, "mismatched", sha256(Path(path), advance), fault))
    return verdicts


def _compare(verdict: FileVerdict, frozen: Entry, written: Entry, manifest: Path) -> FileVerdict:
    path, found, expected = verdict.path, verdict.sha256, frozen["sha256"]
    if expected is None:
        fault = f"{path} has sha256 null in {manifest}, expected a hash: run `make hash_missing`"
        return FileVerdict(path, "unfrozen", found, fault)
    if found == expected:
        return FileVerdict(path, "exact", found)
    generated = frozen.get("origin") == written.get("origin") == "generated"
    if generated and agree(frozen.get("fingerprint"), written.get("fingerprint")):
        return FileVerdict(path, "equivalent", found)
    fault = f"{path} is not the frozen data: its sha256 is {found}, expected {expected}"
    return FileVerdict(path, "mismatched", found, f"{fault} ({manifest})")


def counts(verdicts: Iterable[FileVerdict]) -> dict[str, int]:
    """Return `files` and the number of files of each verdict."""
    tally = Counter(verdict.verdict for verdict in verdicts)
    return {"files": tally.total()} | {name: tally[name] for name in VERDICTS}


def require_verified(verdicts: Iterable[FileVerdict]) -> None:
    """Refuse data with a fault.

    Raises:
        InputError: The first fault's sentence, and how many more there are.
    """
    faults = [verdict.fault for verdict in verdicts if verdict.fault]
    if faults:
        more = f" ({len(faults) - 1} more such files)" if len(faults) > 1 else ""
        raise InputError(faults[0] + more)


def hash_missing(datasets: Sequence[str], manifests: Path) -> str:
    """Fill in every sha256 that a manifest leaves null, and list the files that it does not list.

    Each manifest is replaced in one move; all other lines keep their bytes.

    Returns:
        The unified diff, empty if nothing was missing.

    Raises:
        InputError: If a file to hash is missing or was changed since it was written, or a manifest
            takes no new entry.
    """
    require_verified(verdict for dataset in datasets for verdict in intact(dataset, lambda _: None))
    diff = ""
    for manifest in dict.fromkeys(manifest_path(manifests, d, datasets) for d in datasets):
        mine = [d for d in datasets if manifest_path(manifests, d, datasets) == manifest]
        written = {path: entry for dataset in mine for path, entry in _written(dataset).items()}
        before = read_bytes(manifest).decode() if manifest.exists() else ""
        listed = read_entries(manifest)
        new = [entry for path, entry in written.items() if path not in listed]
        after = before
        if before:
            after = _completed(manifest, before, new)
        elif new:
            after = _HEADER + format_entries(new)
        if after != before:
            write_text(manifest, after)
            lines = unified_diff(before.splitlines(), after.splitlines(), n=1, lineterm="")
            diff += "\n".join([f"{manifest}:", *list(lines)[2:], ""])
    return diff


def _completed(manifest: Path, text: str, new: Sequence[Entry]) -> str:
    """Return a manifest's text with new entries at its end and each null replaced in its place."""
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    files = next(value for key, value in root.value if key.value == "files")
    if new:
        if files.flow_style:
            raise InputError(f"{manifest} lists files in brackets, expected a dash before each one")
        head, tail = text[: files.end_mark.index], text[files.end_mark.index :]
        line = "" if head.endswith("\n") else "\n"
        text = head + line + indent(format_entries(new), " " * files.start_mark.column) + tail
    for entry in reversed(files.value):  # from the end, so that positions ahead stay true
        nodes = {key.value: value for key, value in entry.value}
        digest = nodes["sha256"]
        if digest.tag == "tag:yaml.org,2002:null":
            start, end = digest.start_mark.index, digest.end_mark.index
            space = " " if text[start - 1] == ":" else ""
            text = text[:start] + space + sha256(Path(nodes["path"].value)) + text[end:]
    return text
