"""Source files that a module imports, found by parsing and without running them."""

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from chimera.files.artifacts import read_bytes
from chimera.interface.errors import InputError


def imported_files(module: str, package: str) -> dict[str, Path]:
    """Return the files of a module and of all its imports from its package, by dotted name.

    InputError if the package does not exist, or a file is not Python.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"{package} is not a package, expected one that can be imported")
    root = Path(spec.submodule_search_locations[0])
    found, frontier = dict[str, Path](), {module, package}
    while frontier:
        name = frontier.pop()
        base = root.joinpath(*name.removeprefix(package).split(".")[1:])
        candidates = (base / "__init__.py", base.with_suffix(".py"))
        path = next(filter(Path.is_file, candidates), None)
        inside = name == package or name.startswith(f"{package}.")
        if not inside or path is None or name in found:
            continue
        found[name] = path
        parent = name.rpartition(".")[0]  # imported first
        frontier |= {parent, *_imported_names(path, name if path.stem == "__init__" else parent)}
    return dict(sorted(found.items()))


@cache  # kinds of cells share most files
def _imported_names(path: Path, package: str) -> frozenset[str]:
    """Return the dotted names that a file of a package imports, modules and values alike."""
    try:
        tree = ast.parse(read_bytes(path))
    except SyntaxError as error:
        raise InputError(f"{path} is not Python: line {error.lineno}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"{path} is not Python: {error}") from None
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = package.split(".")[: -node.level + 1 or None] if node.level else []
            start = ".".join([*origin, *filter(None, [node.module])])
            names |= {start, *(f"{start}.{alias.name}" for alias in node.names)}
    return frozenset(names)
