"""Every file operation of a stage fails once: the n-th, for n = 1, 2, ... until it runs through.

A stage of less than smoke size runs in a process whose n-th operation on a file of the workspace
fails: opening, writing, syncing, renaming, removing, making a folder. It fails as on a full disk
(ENOSPC), as on a broken one (EIO), by a write that takes half of what it is given (short), or by
the death of the process in the middle of it (kill). The end must be success with the same outputs,
or one sentence and status 2; no file may lie where none belongs, and the stage, run again, must end
in the same outputs with nothing left in .scratch.

Operations are those of Python: HDF5 files are written by it, too (chimera.files.streams). Reading
by the HDF5 library does not count.

    python benchmarks/faults.py [STAGE ...] [--every K] [--replay STAGE:KIND:N]
"""

import argparse
import builtins
import errno
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parents[1]
KINDS = ("ENOSPC", "EIO", "short", "kill")
IND, OOD = "cfd2d_ind_v2", "cfd2d_ood_amplitude_v2"
SMALL = (
    *(
        "scale=smoke",
        "scale.manifests=data/manifests/faults",
        "train.steps=4",
        "train.save_every=2",
        "train.validate_every=2",
    ),
    *("evaluate.horizon=2", "evaluate.field_frame=1", "probe_names=[spectra]"),
    *(f"data.datasets.{name}.warm_up=0.5" for name in (IND, OOD)),
    *(
        "scale.num_frames=4",
        "probes.spectra.frames=[1,2]",
        "scale.trajectories={train: 2, valid: 1, test: 1, ood: 1}",
    ),
)
CELL = ("--model", "unet", "--replicate", "0")
LOG = ("deviation", "--key", "train.steps", "a reason")
# What runs, and its arguments; those of PREPARED come first and are no subject.
PREPARED = {
    "validate": ("stages.validate",),
    "generate": ("stages.generate", "--dataset", IND),
    "generate_ood": ("stages.generate", "--dataset", OOD),
    "networks": ("stages.networks", "--model", "unet"),
    "networks_fractal": ("stages.networks", "--model", "fractal_unet"),
    "verify": ("stages.verify",),
    "parity": ("stages.parity",),
    "train": ("stages.train", *CELL),
    "train_fractal": ("stages.train", "--model", "fractal_unet", *CELL[2:]),
    "evaluate": ("stages.evaluate", *CELL),
    "evaluate_fractal": ("stages.evaluate", "--model", "fractal_unet", *CELL[2:]),
    "probe": ("stages.probe", "--probe", "spectra", *CELL),
    "probe_fractal": ("stages.probe", "--probe", "spectra", "--model", "fractal_unet", *CELL[2:]),
    "aggregate": ("stages.aggregate",),
}
SUBJECTS = {
    "generate": PREPARED["generate"],
    "train": PREPARED["train"],
    "evaluate": PREPARED["evaluate"],
    "aggregate": PREPARED["aggregate"],
    "hash_missing": ("stages.verify", "--hash-missing"),
    "log": ("commands.log", *LOG),
}
# What DVC removes before a stage runs.
OUTPUTS = {
    "generate": (f"data/{IND}", f"metrics/gates/generate/{IND}"),
    "train": ("checkpoints/unet/0",),
    "evaluate": (
        "metrics/runs/unet/0/evaluate.json",
        *(f"metrics/runs/unet/0/{name}.safetensors" for name in ("fields", "references")),
    ),
    "aggregate": (
        *(
            "metrics/tables",
            "plots/tables",
            "plots/table_errors.tex",
            "metrics/errors.csv",
            "metrics/statistics.csv",
        ),
        *("metrics/provenance.yaml", "metrics/summary.json", "metrics/probes.json"),
    ),
    "hash_missing": ("data/manifests/faults",),
    "log": (),
}
WATCHED = ("data", "checkpoints", "metrics", "plots", "tuning", "Deviation_Log.md", "params.yaml")
LIMIT = 5000  # operations of one stage


@dataclass
class Faults:
    """In this process the operation `number` on a file below a folder fails; all are counted."""

    folder: Path
    kind: str = ""
    number: int = 0
    count: int = 0
    writes: set[int] = field(default_factory=set)

    def install(self) -> None:
        """Put an operation that may fail in the place of each of Python's."""
        open_, raw = io.open, self.raw()
        for name in ("replace", "rename", "mkdir", "unlink", "remove", "rmdir", "fsync"):
            setattr(os, name, self.guarded(getattr(os, name)))

        def open_file(path, mode="r", buffering=-1, *args, **kwargs):
            if isinstance(path, int) or not self.is_inside(path):
                return open_(path, mode, buffering, *args, **kwargs)
            self.step()
            if not set(mode) & set("wax+"):
                return open_(path, mode, buffering, *args, **kwargs)
            stream = raw(path, mode.replace("b", "").replace("t", ""))
            if buffering == 0:
                return stream
            if "+" in mode:
                return io.BufferedRandom(stream)
            return (
                io.BufferedWriter(stream)
                if "b" in mode
                else io.TextIOWrapper(io.BufferedWriter(stream), *args, **kwargs)
            )

        io.open = open_file
        builtins.open = open_file

    def is_inside(self, path: object) -> bool:
        """Whether a path is below the folder."""
        return Path(os.path.abspath(os.fsdecode(path))).is_relative_to(self.folder)

    def guarded(self, operation):
        """Return an operation that may fail; a number is an open file."""

        def guarded(path, *args, **kwargs):
            inside = isinstance(path, int) or kwargs.get("dir_fd") is not None
            if inside or self.is_inside(path):
                self.step()
            return operation(path, *args, **kwargs)

        return guarded

    def raw(self):
        """Return a class of files whose writes may fail."""
        faults = self

        class Raw(io.FileIO):
            def write(self, content):
                view = memoryview(content).cast("B")
                half = len(view) // 2
                faults.writes.add(faults.count + 1)
                if faults.kind and faults.count + 1 == faults.number and half:
                    if faults.kind == "short":
                        faults.count += 1
                        return super().write(view[:half])
                    super().write(view[:half])
                faults.step()
                return super().write(view)

        return Raw

    def step(self) -> None:
        """Count an operation, and let it fail if it is the one."""
        self.count += 1
        if self.count != self.number or self.kind == "short":
            return
        if self.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        code = getattr(errno, self.kind)
        raise OSError(code, os.strerror(code))


def run(workspace: Path, command: tuple[str, ...], kind: str = "", number: int = 0):
    """Run a module in a child of this process, which has imported it; return status, text, count.

    The status is negative for a signal; the count is of all operations and of those that write.
    """
    module, *arguments = command
    main = import_module(f"chimera.{module}").main
    from chimera.interface.errors import guarded

    with tempfile.TemporaryFile("w+") as printed, tempfile.TemporaryFile("w+") as counted:
        child = os.fork()
        if not child:
            os.chdir(workspace)
            os.dup2(printed.fileno(), 1)
            os.dup2(printed.fileno(), 2)
            # Whoever calls may have put other streams there, as pytest does.
            sys.stdout = os.fdopen(1, "w", closefd=False)
            sys.stderr = os.fdopen(2, "w", closefd=False)
            sys.argv = [module, *arguments]
            faults = Faults(workspace, kind, number)
            faults.install()
            exits = os._exit

            def end(status: int) -> None:
                os.write(counted.fileno(), f"{faults.count} {sorted(faults.writes)}".encode())
                exits(status)

            os._exit = end  # type: ignore[assignment]
            try:
                guarded(main)
            except SystemExit as error:
                sys.stderr.flush()
                end(int(error.code or 0))
            except BaseException:
                import traceback

                traceback.print_exc()
                sys.stderr.flush()
                end(99)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        printed.seek(0)
        counted.seek(0)
        total, _, writes = counted.read().partition(" ")
        return (
            status,
            printed.read(),
            int(total or 0),
            [int(n) for n in writes.strip("[]").split(",") if n.strip()],
        )


def content(workspace: Path) -> dict[str, bytes]:
    """Return every watched file."""
    found = {}
    for name in WATCHED:
        path = workspace / name
        files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
        found |= {str(p.relative_to(workspace)): p.read_bytes() for p in files}
    return found


def reset(workspace: Path, before: dict[str, bytes]) -> None:
    """Give the watched files the content that they had, and empty .scratch."""
    shutil.rmtree(workspace / ".scratch", ignore_errors=True)
    now = content(workspace)
    for name in now.keys() - before.keys():
        (workspace / name).unlink()
    for name, expected in before.items():
        if now.get(name) != expected:
            (workspace / name).parent.mkdir(parents=True, exist_ok=True)
            (workspace / name).write_bytes(expected)


def prepare(workspace: Path) -> dict[str, bytes]:
    """Make a workspace in which every subject has run once, and return its files."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).exists() and not name.startswith(("records/", "plots/", "metrics/")):
            (workspace / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, workspace / name)
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=t", "-c", "user.email=t@e.org", "commit", "-qm", "t"],
    ):
        subprocess.run(["git", *command], cwd=workspace, check=True, capture_output=True)
    for command in (("commands.compose", *SMALL), *PREPARED.values()):
        status, printed, *_ = run(workspace, command)
        if status:
            raise SystemExit(f"{command} ended with {status}:\n{printed}")
    return content(workspace)


def faults_of(
    workspace: Path, before: dict[str, bytes], name: str, kind: str, number: int, ends
) -> list[str]:
    """Return what is wrong after one fault."""
    reset(workspace, before)
    status, printed, *_ = run(workspace, SUBJECTS[name], kind, number)
    lines = [line for line in printed.splitlines() if line.startswith("error: ")]
    wrong, now = [], content(workspace)
    if status not in ((-signal.SIGKILL, 0) if kind == "kill" else (0, 2)):
        wrong.append(f"status {status}: {printed[-2000:]}")
    if status == 2 and (len(lines) != 1 or "Traceback" in printed):
        wrong.append(f"no sentence: {printed[-2000:]}")
    if status == 0 and now not in ends:
        wrong.append("success with other outputs")
    for path, found in now.items():
        if found not in [end.get(path) for end in (before, *ends)]:
            wrong.append(f"{path} is neither what was there nor what belongs there")
    status, printed, *_ = run(workspace, SUBJECTS[name])
    if status or content(workspace) not in ends:
        wrong.append(f"run again: status {status}, or other outputs: {printed[-500:]}")
    left = [path for path in (workspace / ".scratch").rglob("*") if path.is_file()]
    wrong += [f"{path} is left" for path in left if "lock" not in path.name]
    return [f"{name}:{kind}:{number}: {sentence}" for sentence in wrong]


def search(
    workspace: Path, before: dict[str, bytes], name: str, every: int = 1, kinds=KINDS, only: int = 0
):
    """Return the numbers of operations and of faults that were tried, and what is wrong."""
    start = (
        {p: c for p, c in before.items() if not p.startswith(OUTPUTS[name])}
        if OUTPUTS[name]
        else before
    )
    reset(workspace, start)
    ends, total, writes = [], 0, []
    for _ in range(2 if name == "log" else 1):  # an entry that was written, and then again
        status, printed, count, found = run(workspace, SUBJECTS[name])
        if status:
            raise SystemExit(f"{name} ended with {status}:\n{printed}")
        total, writes = total or count, writes or found
        ends.append(content(workspace))
    if total > LIMIT:
        raise SystemExit(f"{name} has {total} operations, expected at most {LIMIT}")
    tried, wrong = 0, []
    for kind in kinds:
        for number in (
            [only] if only else (writes if kind == "short" else range(1, total + 1))[::every]
        ):
            tried += 1
            wrong += faults_of(workspace, start, name, kind, number, ends)
    reset(workspace, before)
    return total, tried, wrong


def main() -> None:
    """Run the loop."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("subjects", nargs="*", help=f"of {', '.join(SUBJECTS)}, all by default")
    parser.add_argument("--every", type=int, default=1, help="try each K-th operation alone")
    parser.add_argument("--replay", help="one fault, as it was printed: STAGE:KIND:N")
    options = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder).resolve()
        before = prepare(workspace)
        if options.replay:
            name, kind, number = options.replay.split(":")
            jobs = [(name, {"kinds": (kind,), "only": int(number)})]
        else:
            jobs = [(name, {"every": options.every}) for name in options.subjects or SUBJECTS]
        for name, how in jobs:
            since = time.monotonic()
            total, tried, wrong = search(workspace, before, name, **how)
            failed |= bool(wrong)
            print(
                f"{name}: {total} operations, {tried} faults, {len(wrong)} wrong ends, "
                f"{time.monotonic() - since:.0f} s",
                flush=True,
            )
            for sentence in wrong:
                print(f"  {sentence}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
