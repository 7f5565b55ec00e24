"""How many small faults in the numerics the tests notice: a mutation run with cosmic-ray.

A mutant is a source file in which one operator, number, condition, loop or decorator is changed.
Places are drawn by a seed, and at each of them one change. The tests of that file then run in a
copy of the tree: the mutant is killed where one fails, or where they take too long.

Not drawn is what any test notices that runs the line at all, or none can: bitwise operators among
arithmetic ones (TypeError), identity in place of a comparison, what does not compile, annotations.

    python benchmarks/mutants.py [--mutants 400] [--seed 11] [--session build/mutants.sqlite]

A session that was stopped goes on, and tries the mutants that survived again; `cr-html` and
`cr-report` show it. docs/mutants.md says what the last run found.
"""

import argparse
import ast
import contextlib
import difflib
import importlib
import math
import multiprocessing
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from cosmic_ray.commands.init import init
from cosmic_ray.mutating import mutate_code, use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkItem, WorkResult

SOURCE = Path("src/chimera")
ROOMS = ("solver", "statistics", "models/parity", "study", "fields")
# Without the simulations of coverage, which take minutes.
QUICK = "not covers and not fall_short and not of_three"
# The tests of a file: of the longest path that it starts with, the fastest first.
TESTS = {
    "fields": "src/chimera/fields tests/fields",
    "models/parity": "tests/models/test_parity.py -k 'not graph and not told_apart'",
    "models/parity/graph": "tests/models/test_parity.py -k 'graph or told_apart'",
    "models/parity/gate": "tests/models/test_parity.py -k 'gate or default_pair or pairs'",
    "solver": "tests/solver/test_navier_stokes.py",
    "solver/compiled": "tests/solver/test_advection.py -k 'not loads_no_compiler'",
    "statistics": "tests/statistics/test_inference.py",
    "statistics/confidence_sequences": "tests/statistics/test_sequential.py",
    "statistics/e_values": "tests/statistics/test_sequential.py",
    "statistics/equivalence": "tests/statistics/test_equivalence.py",
    "statistics/multiplicity": "tests/statistics",
    "statistics/effect_sizes": "tests/statistics/test_effect_sizes.py",
    "statistics/resampling": f"tests/statistics -k '{QUICK}'",
    "study": "src/chimera/study tests/study",
}
# Imported once: each run of tests is a fork of this process, which saves ten seconds of imports.
LIBRARIES = (
    "torch.fx.experimental.proxy_tensor",
    "torch.utils.flop_counter",
    "torchinfo",
    "scipy.stats",
    "pingouin",
    "statsmodels.stats.power",
    "sympy",
    "the_well.benchmark.metrics",
)
ARITHMETIC = "Add|Sub|Mul|Div|FloorDiv|Mod|Pow"
BITWISE = "RShift|LShift|BitOr|BitAnd|BitXor"
NOT_DRAWN = re.compile(
    rf"Binary\w*_(({ARITHMETIC})_({BITWISE})|({BITWISE})_({ARITHMETIC}))$"
    r"|Comparison\w*_(Eq|NotEq|Lt|LtE|Gt|GtE)_Is(Not)?$"
)
COMPILED = "compiled"  # what numba keeps
SHORTEST_LIMIT = 30  # seconds of a processor
MEMORY = 16 * 2**30  # bytes of address space, of which torch reserves several GiB


def main() -> None:
    """Draw, run and sum up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutants", type=int, default=400)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--session", type=Path, default=Path("build/mutants.sqlite"))
    arguments = parser.parse_args()
    session = arguments.session.resolve()
    session.parent.mkdir(exist_ok=True)
    for library in LIBRARIES:
        importlib.import_module(library)
    with tempfile.TemporaryDirectory() as folder:
        copy_tree(Path(folder))
        os.chdir(folder)
        draw(session, arguments.mutants, arguments.seed)
        run(session, Path(folder))
    sum_up(session)


def copy_tree(folder: Path) -> None:
    """Copy what git knows of the working tree, changes included."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, check=True, capture_output=True, text=True).stdout.split("\0")
    for path in map(Path, filter(None, names)):
        if path.is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, folder / path)


def draw(session: Path, mutants: int, seed: int) -> None:
    """Fill a new session: places without replacement, at each of them one change."""
    files = [path for room in ROOMS for path in sorted((SOURCE / room).rglob("*.py"))]
    places: dict[tuple, list[WorkItem]] = {}
    with use_db(session) as database:
        if database.num_work_items:
            return
        init(files, database, {})
        items = [(key(item.mutations[0]), item) for item in database.work_items]
        for (*place, _, _), item in sorted(items, key=lambda pair: pair[0]):
            places.setdefault(tuple(place), []).append(item)
        generator = np.random.default_rng(seed)
        drawn: list[WorkItem] = []
        for number in generator.permutation(len(places)):
            changes = list(places.values())[number]
            order = [changes[i] for i in generator.permutation(len(changes))]
            drawn.extend(islice(filter(is_change, order), 1))
            if len(drawn) == mutants:
                break
        database.clear()
        database.add_work_items(drawn)
    print(f"{len(drawn)} of {len(places)} places")


def key(mutation: MutationSpec) -> tuple:
    """Return file, place and change, which say what a mutant is."""
    place = (str(mutation.module_path), mutation.start_pos, mutation.end_pos)
    return (*place, mutation.operator_name, mutation.occurrence)


def is_change(item: WorkItem) -> bool:
    """Say whether a mutant is worth a run; see above."""
    mutation = item.mutations[0]
    if NOT_DRAWN.search(mutation.operator_name):
        return False
    source = mutation.module_path.read_text()
    mutated = mutate_code(source, get_operator(mutation.operator_name)(), mutation.occurrence)
    with warnings.catch_warnings(), contextlib.suppress(SyntaxError):
        warnings.simplefilter("error", SyntaxWarning)
        compile(mutated, str(mutation.module_path), "exec")
        return without_annotations(mutated) != without_annotations(source)
    return False


def without_annotations(source: str) -> str:
    """Return the syntax tree of what is computed."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            if hasattr(node, name):
                setattr(node, name, None)
    return ast.dump(tree)


def run(session: Path, folder: Path) -> None:
    """Run the tests of every mutant that has no result yet, or survived."""
    limits = {}
    with use_db(session) as database:
        done = {item.job_id: result for item, result in database.completed_work_items}
        items = [
            i for i in database.work_items if not (i.job_id in done and done[i.job_id].is_killed)
        ]
        for number, item in enumerate(sorted(items, key=lambda i: key(i.mutations[0])), start=1):
            mutation = item.mutations[0]
            tests = tests_of(mutation.module_path)
            if tests not in limits:
                shutil.rmtree(folder / COMPILED, ignore_errors=True)
                outcome, output, seconds = try_tests(tests, folder, 600)
                if outcome is TestOutcome.KILLED:
                    sys.exit(f"{output}\nthe tests fail without any mutant: {tests}")
                limits[tests] = max(SHORTEST_LIMIT, math.ceil(3 * seconds))
                print(f"{seconds:.0f} s: {tests}", flush=True)
            operator = get_operator(mutation.operator_name)()
            with use_mutation(mutation.module_path, operator, mutation.occurrence) as codes:
                outcome, output, seconds = try_tests(tests, folder, limits[tests])
            result = WorkResult(WorkerOutcome.NORMAL, output, outcome, difference(*codes))
            database.set_result(item.job_id, result)
            place = f"{mutation.module_path}:{mutation.start_pos[0]}"
            print(f"{number}/{len(items)} {outcome.value} {seconds:.0f} s {place}", flush=True)


def tests_of(path: Path) -> str:
    """Return the tests of a file, as pytest's arguments."""
    name = str(path.relative_to(SOURCE))
    return TESTS[max((start for start in TESTS if name.startswith(start)), key=len)]


def try_tests(tests: str, folder: Path, limit: int) -> tuple[TestOutcome, str, float]:
    """Run tests in a process of their own.

    Limits are seconds of a processor: however busy the machine, the same mutants are too slow.

    Returns:
        The outcome, the end of the output, and the seconds taken.
    """
    log = folder / "mutants.log"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    child = multiprocessing.get_context("fork").Process(target=run_pytest, args=(tests, log, limit))
    child.start()
    child.join()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    output = log.read_text(errors="replace")[-4000:]
    if child.exitcode == -signal.SIGXCPU:
        output += f"\nmore than {limit} s"
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return TestOutcome.KILLED if child.exitcode else TestOutcome.SURVIVED, output, seconds


def run_pytest(tests: str, log: Path, limit: int) -> None:
    """Run pytest in the child, on the copy that is the working directory."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    sys.dont_write_bytecode = True  # Python would take it for the next mutant's, of the same second
    sys.path.insert(0, str(Path("src").resolve()))
    # numba compiles anew what lies in a changed file, here where nothing else finds it.
    os.environ |= {"PYTHONPATH": sys.path[0], "NUMBA_CACHE_DIR": str(log.with_name(COMPILED))}
    code = pytest.main([*shlex.split(tests), "-x", "-q", "-p", "no:cacheprovider"])
    sys.stdout.flush()
    os._exit(code)


def difference(before: str, after: str) -> str:
    """Return the lines that a mutant changes."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return "\n".join(list(lines)[3:])


def sum_up(session: Path) -> None:
    """Print the survivors, and how many of each room were killed."""
    killed, all_of = Counter[str](), Counter[str]()
    with use_db(session) as database:
        for item, result in database.completed_work_items:
            mutation = item.mutations[0]
            room = next(r for r in ROOMS if mutation.module_path.is_relative_to(SOURCE / r))
            all_of[room] += 1
            killed[room] += result.is_killed
            if not result.is_killed:
                print(f"{mutation.module_path}:{mutation.start_pos[0]}\n{result.diff}")
    for room in ROOMS:
        print(f"{room}: {killed[room]} of {all_of[room]} killed")
    print(f"{killed.total()} of {all_of.total()}: {killed.total() / all_of.total():.1%}")


if __name__ == "__main__":
    main()
