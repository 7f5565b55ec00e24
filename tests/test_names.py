"""One word, one meaning: a public name of the source stands in one module, and prose names it."""

import ast
import pkgutil
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/chimera"
EVERYWHERE = {"main"}  # every command and stage has its own


def defined(tree):
    """Return the public functions, classes, constants and type aliases of a module."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named = [name for target in targets for name in ast.walk(target)]
            names |= {name.id for name in named if isinstance(name, ast.Name)}
    return {name for name in names if not name.startswith("_")}


def rooms():
    """Return every public name with the modules that define it."""
    found = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE).with_suffix("").as_posix()
        for name in sorted(defined(ast.parse(path.read_text()))):
            found[name].append(module)
    return found


def test_definitions_of_every_kind_are_found():
    source = (
        "X = 1\nY: int = 2\n_z = 3\na, b = 1, 2\nA = list[int]\ndef f(): pass\nclass C: q = 1\n"
    )
    assert defined(ast.parse(source)) == {"X", "Y", "a", "b", "A", "f", "C"}
    assert {"main", "nrmse", "FractalUNet", "Row"} <= rooms().keys()


def test_no_public_name_stands_in_two_modules():
    twice = {
        name: modules
        for name, modules in rooms().items()
        if len(modules) > 1 and name not in EVERYWHERE
    }
    assert not twice


def exists(name):
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


def imported(tree):
    """Yield the dotted names that a module imports from the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("chimera"):
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_whatever_is_imported_or_named_in_docstrings_and_comments_exists():
    assert exists("chimera.study.endpoints.endpoint")
    assert not exists("chimera.study.endpoints." + "gone")
    named = defaultdict(set)
    for folder in ("src", "tests", "benchmarks", "examples"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text()
            in_prose = re.findall(r"\bchimera(?:\.[A-Za-z_]\w*)+", text)
            for name in [*in_prose, *imported(ast.parse(text))]:
                named[name].add(path.name)
    stale = {name: paths for name, paths in named.items() if not exists(name)}
    assert not stale
