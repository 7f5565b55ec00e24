"""Digests of the committed run by kind of output, and the row of this processor in docs/bits.md.

    python benchmarks/bits.py

After `make repro` (which `make bits` does first), dvc.lock has the md5 of every output of every
stage. A column is the sha256 of the sorted paths and md5s of one kind of output, cut to eight
digits: equal digests mean equal bytes. `run` is that of sources, parameters and pinned versions: a
row of another run stays only while its outputs have the same bytes as this one's.
"""

import hashlib
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

# By path: what a stage writes of each kind.
KINDS = {
    "data": r"data/",
    "checkpoints": r"checkpoints/",
    "runs": r"metrics/runs/",
    "metrics": r"metrics/[\w.]+$|metrics/tables",
    "tables": r"plots/tables",
    "pictures": r"plots/(png|svg)",
}
PAGE = Path("docs/bits.md")
BEGIN = "| processor | class | run | " + " | ".join(KINDS) + " |\n"
RULE = "|---|---|---|" + "---|" * len(KINDS) + "\n"


def digests(lock: Mapping[str, Any]) -> dict[str, str]:
    """Return the digest of each kind of output by the stages of dvc.lock."""
    outs = [(out["path"], out["md5"]) for s in lock["stages"].values() for out in s.get("outs", ())]
    found = {}
    for kind, pattern in KINDS.items():
        listed = [f"{md5} {path}" for path, md5 in outs if re.match(pattern, path)]
        if not listed:
            raise ValueError(f"dvc.lock has no output of the kind {kind}, expected a finished run")
        found[kind] = _digest(listed)
    return found


def run_of(lock: Mapping[str, Any]) -> str:
    """Return the digest of the sources, the parameters and the versions of a run."""
    stages = lock["stages"].values()
    deps = [dep for stage in stages for dep in stage.get("deps", ())]
    sources = "src/", "constraints-numerics.txt", "params.yaml"
    return _digest({f"{d['md5']} {d['path']}" for d in deps if d["path"].startswith(sources)})


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:8]


def processor(info: Path = Path("/proc/cpuinfo")) -> str:
    """Return the name of this processor, with its family and model where they are told."""
    text = info.read_text() if info.exists() else ""
    found = dict(re.findall(r"^(model name|cpu family|model)\s*:\s*(.+)$", text, re.MULTILINE))
    name = found.get("model name", platform.processor() or platform.machine())
    return f"{name}, family {found['cpu family']} model {found['model']}" if found else name


def with_row(page: str, row: str) -> str:
    """Return a page with a row in its table of digests, in place of its processor's.

    Rows of another run with other digests are dropped, too.
    """
    head, begin, rest = page.partition(BEGIN + RULE)
    if not begin:
        raise ValueError(f"{PAGE} has no table of digests, expected its header {BEGIN.strip()}")
    rows = re.match(r"(?:\|.*\n)*", rest)
    assert rows is not None
    here = row.split(" | ")
    old = [line.split(" | ") for line in rows[0].splitlines(keepends=True)]
    others = [cells for cells in old if cells[0] != here[0]]
    kept = [" | ".join(c) for c in others if c[2] == here[2] or c[3:] == here[3:]]
    return head + begin + "".join(kept) + row + rest[rows.end() :]


def main() -> None:
    """Print the row, and write it into the page."""
    lock = yaml.safe_load(Path("dvc.lock").read_text())
    kind = yaml.safe_load(Path("metrics/provenance.yaml").read_text())["bytes"]
    cells = [processor(), kind, run_of(lock), *digests(lock).values()]
    row = f"| {' | '.join(cells)} |\n"
    PAGE.write_text(with_row(PAGE.read_text(), row))
    print(BEGIN + RULE + row, end="")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
