"""Every reader of files is given broken ones, drawn from a seed, for a time.

A reader must return something or refuse in one sentence (InputError), in bounded time and memory.
What fails is printed with reader, seed and number, and `--replay READER:SEED:N` runs it again.

    python benchmarks/fuzz.py [--seconds 60] [--seed 0] [--replay READER:SEED:N]
"""

import argparse
import itertools
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
import torch

import flows
from chimera.data.checksums import read_entries
from chimera.data.layout.leakage import read_frames
from chimera.data.layout.links import Link, format_links, read_links
from chimera.data.layout.recordings import Recording
from chimera.data.layout.well import open_well
from chimera.data.sources.arrays import open_arrays
from chimera.data.sources.pdebench import open_pdebench
from chimera.files.arrays import read_arrays, read_safetensors, write_arrays
from chimera.files.artifacts import read_csv, read_json, read_params, read_text, read_yaml
from chimera.files.imports import _imported_names
from chimera.files.tensors import read_tensors, write_tensors
from chimera.governance.logbook import entries
from chimera.governance.preregistration import parse_preregistration
from chimera.interface.errors import InputError

ROOT = Path(__file__).parents[1]
SECONDS = 10  # that a reader may take; a machine may be busy
LARGEST = 1 << 30  # bytes that a reader may allocate beyond what it has


def all_of(recording: Recording) -> None:
    """Read every value of a recording."""
    for _ in recording.blocks(range(min(recording.count, 8)), recording.fields):
        pass


def written(write: Callable[[Path], object]) -> bytes:
    """Return what a function writes into a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.hdf5"
        write(path)
        found = next(p for p in Path(folder).rglob("*") if p.is_file())
        return found.read_bytes()


def readers() -> dict[str, tuple[Callable[[Path], object], bytes]]:
    """Return every reader by name, with a whole file."""
    size = {"n": 2, "T": 3, "H": 8, "W": 8}
    link = Link("a.hdf5", "0" * 64, 10, (0, 1))
    frames = {"train": np.zeros((2, 3, 2), np.uint64), "train.places": np.array(["a", "b"])}
    tensors = {"a": torch.zeros(4), "b": torch.zeros(2, dtype=torch.complex64)}
    plan = (ROOT / "PREREGISTRATION.md").read_bytes()
    return {
        "well": (lambda p: all_of(open_well(p)), written(lambda p: flows.write_well(p, **size))),
        "pdebench": (
            lambda p: all_of(open_pdebench(p)),
            written(lambda p: flows.write_pdebench(p, **size)),
        ),
        "incompressible": (
            lambda p: all_of(open_pdebench(p)),
            written(lambda p: flows.write_incompressible(p, **size)),
        ),
        "npz": (
            lambda p: all_of(open_arrays(p, ["vorticity"])),
            written(lambda p: flows.write_arrays(p.with_suffix(".npz"), **size)),
        ),
        "arrays": (read_arrays, written(lambda p: write_arrays(p, frames))),
        "frames": (read_frames, written(lambda p: write_arrays(p, frames))),
        "tensors": (read_tensors, written(lambda p: write_tensors(p, tensors, {"a": 1}))),
        "safetensors": (read_safetensors, written(lambda p: write_tensors(p, tensors, {"a": 1}))),
        "yaml": (read_yaml, (ROOT / "params.yaml").read_bytes()),
        "params": (read_params, (ROOT / "params.yaml").read_bytes()),
        "entries": (read_entries, (ROOT / "data/manifests/smoke/IND_MANIFEST.yaml").read_bytes()),
        "links": (read_links, format_links([link]).encode()),
        "json": (read_json, (ROOT / "metrics/stats.json").read_bytes()),
        "csv": (read_csv, (ROOT / "tuning/trials.csv").read_bytes()),
        "log": (lambda p: entries(read_text(p)), (ROOT / "Deviation_Log.md").read_bytes()),
        "plan": (lambda p: parse_preregistration(p.read_text(errors="replace"), str(p)), plan),
        "python": (lambda p: _imported_names(p, "chimera"), Path(__file__).read_bytes()),
    }


def broken(whole: bytes, generator: random.Random) -> bytes:
    """Return a file with some of its bytes changed, cut, doubled, or replaced by telling ones."""
    content = bytearray(whole)
    for _ in range(generator.choice((1, 1, 2, 4, 16))):
        place = generator.randrange(len(content) + 1)
        length = generator.choice((1, 2, 4, 8, 64))
        match generator.randrange(6):
            case 0 if content:
                content[place % len(content)] ^= 1 << generator.randrange(8)
            case 1:
                content[place : place + length] = generator.randbytes(length)
            case 2:
                content[place : place + length] = b"\xff" * length
            case 3:
                del content[place : place + length]
            case 4:
                content[place:place] = content[place : place + length] * 3
            case 5:
                telling = (b"null", b"nan", b"-1", b"1e999", b"[", b"{", b"&a *a", b"\0", b'"')
                content[place : place + length] = generator.choice(telling)
    return bytes(
        content if generator.random() > 0.1 else content[: generator.randrange(len(whole))]
    )


def attempt(name: str, read: Callable[[Path], object], content: bytes, folder: Path) -> str:
    """Return what is wrong with how a reader ends, in a process of its own for a crash to end."""
    path, report = folder / f"file.{name}", folder / "report"
    path.write_bytes(content)
    report.unlink(missing_ok=True)
    child = os.fork()
    if not child:
        import resource

        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + LARGEST, used + LARGEST))
        signal.alarm(SECONDS)
        try:
            read(path)
        except InputError as error:
            if "\n" in str(error):
                report.write_text(f"not one line: {error!r}")
        except BaseException:
            report.write_text(traceback.format_exc())
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if report.exists():
        return report.read_text()
    return f"ended with {status}" if status else ""


def main() -> None:
    """Run the readers, or replay one fault."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--replay", help="a fault as it was printed, READER:SEED:N")
    options = parser.parse_args()
    known, end = readers(), time.monotonic() + options.seconds
    jobs = ((name, options.seed, n) for n in itertools.count() for name in known)
    if options.replay:
        name, seed, number = options.replay.split(":")
        jobs, end = iter([(name, int(seed), int(number))]), float("inf")
    tried, faults = 0, 0
    print(f"seed {options.seed}, {len(known)} readers")
    with tempfile.TemporaryDirectory() as folder:
        for name, seed, number in jobs:
            if time.monotonic() > end:
                break
            read, whole = known[name]
            content = broken(whole, random.Random(f"{name}:{seed}:{number}"))  # noqa: S311
            tried += 1
            if wrong := attempt(name, read, content, Path(folder)):
                faults += 1
                print(f"{name}:{seed}:{number}: {wrong}", flush=True)
    print(f"{tried} files, {faults} faults")
    sys.exit(faults > 0)


if __name__ == "__main__":
    main()
