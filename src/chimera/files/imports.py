"""Which source files a module runs, told from its imports without running it."""

import ast
from importlib.util import find_spec
from pathlib import Path

from chimera.files.artifacts import read_bytes


def imported_files(module: str, package: str) -> dict[str, Path]:
    """Return the files of a module and of all that it imports from one package, by dotted name.

    Args:
        module: Dotted name.
        package: Dotted name of a package that holds it; imports from elsewhere are not followed.
    """
    found: dict[str, Path] = {}
    frontier = {module, package}
    spec = find_spec(package)
    root = Path(spec.origin or "").parent if spec else Path()
    while frontier:
        name = frontier.pop()
        inside = name == package or name.startswith(f"{package}.")
        place = root.joinpath(*name.removeprefix(package).split(".")[1:])
        path = next(
            (p for p in (place / "__init__.py", place.with_suffix(".py")) if p.is_file()), None
        )
        if not inside or path is None or name in found:
            continue
        found[name] = path
        for node in ast.walk(ast.parse(read_bytes(path))):
            if isinstance(node, ast.Import):
                frontier |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                frontier |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
    return dict(sorted(found.items()))
