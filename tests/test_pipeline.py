"""House rules: every stage declares what it imports, and imports point downward."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
FLOORS = {
    "interface": 0,
    "fourier": 0,
    "solver": 1,
    "models": 1,
    "field_metrics": 1,
    "statistics": 1,
    "devices": 2,
    "data": 2,
    "training": 2,
    "evaluation": 2,
    "collation": 2,
    "probes": 2,
    "figures": 3,
    "arrays": 3,
    "report": 3,
    "artifacts": 3,
    "checkpoints": 3,
    "governance": 3,
    "resumption": 3,
    "composition": 3,
    "costs": 2,
    "contrasts": 2,
    "logbook": 3,
    "preregistration": 3,
    "review": 3,
    "stages": 4,
}


def module_files() -> dict[str, Path]:
    """Return every module of the package, by dotted name."""
    files = {}
    for path in sorted((SOURCE / "chimera").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


MODULES = module_files()


def imports(module: str) -> set[str]:
    """Return the package's modules that a module imports, their parent packages included."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    known = {name for name in found if name in MODULES}
    parents = {".".join(n.split(".")[:i]) for n in known for i in range(1, n.count(".") + 1)}
    return (known | parents) - {module}


def closure(module: str) -> set[str]:
    """Return everything that importing a module runs."""
    reached, frontier = set(), {module, *parents(module)}
    while frontier:
        reached |= frontier
        frontier = set().union(*(imports(name) for name in frontier)) - reached
    return reached


def parents(module: str) -> set[str]:
    """Return the packages that a module lies in."""
    return {".".join(module.split(".")[:i]) for i in range(1, module.count(".") + 1)}


def room(module: str) -> str:
    """Return the first name below the package."""
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("stage", STAGES)
def test_stage_is_a_module_and_a_command_of_the_same_name(stage):
    assert f"chimera.stages.{stage}" in MODULES
    assert STAGES[stage]["cmd"].split()[:3] == ["python", "-m", f"chimera.stages.{stage}"]


@pytest.mark.parametrize("stage", STAGES)
def test_deps_hold_the_import_closure(stage):
    declared = [ROOT / dep for dep in STAGES[stage]["deps"] if dep.startswith("src/")]
    assert all(path.exists() for path in declared)
    for module in closure(f"chimera.stages.{stage}"):
        path = MODULES[module]
        if all(isinstance(node, ast.Expr) for node in ast.parse(path.read_text()).body):
            continue  # an __init__ of a docstring or nothing can change nothing
        covered = any(path == dep or dep in path.parents for dep in declared)
        assert covered, f"{stage} runs {path.relative_to(ROOT)}, which its deps do not list"


@pytest.mark.parametrize("stage", STAGES)
def test_deps_list_no_code_that_the_stage_never_imports(stage):
    reached = {MODULES[module] for module in closure(f"chimera.stages.{stage}")}
    for dep in STAGES[stage]["deps"]:
        path = ROOT / dep
        if dep.startswith("src/"):
            assert any(path == file or path in file.parents for file in reached), dep


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"chimera"}))
def test_imports_point_downward(module):
    for imported in imports(module) - {"chimera"}:
        assert FLOORS[room(imported)] <= FLOORS[room(module)], f"{module} imports {imported}"


def test_no_cycles():
    graph = {m: imports(m) - parents(m) for m in MODULES}
    TopologicalSorter(graph).prepare()


def test_stages_never_import_each_other():
    for module in MODULES:
        if room(module) == "stages" and module != "chimera.stages":
            siblings = {n for n in imports(module) if n.startswith("chimera.stages.")}
            assert not siblings, f"{module} imports {siblings}"


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("chimera.stages.")])
def test_stages_are_thin(module):
    statements = [line for line in MODULES[module].read_text().splitlines() if line.strip(" \n)]}")]
    assert len(statements) <= 80, f"{module}: {len(statements)} lines"


def test_numerics_open_no_files():
    forbidden = {"yaml", "argparse", "matplotlib", "h5py", "safetensors", "json", "csv"}
    for module, path in MODULES.items():
        if room(module) and FLOORS[room(module)] <= 1:
            tree = ast.parse(path.read_text())
            names = {
                alias.name.split(".")[0]
                for node in ast.walk(tree)
                if isinstance(node, ast.Import)
                for alias in node.names
            } | {
                (node.module or "").split(".")[0]
                for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom)
            }
            assert not names & forbidden, f"{module} imports {names & forbidden}"
            called = {
                node.func.id
                for node in ast.walk(tree)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            assert "open" not in called, f"{module} opens a file"


def test_gpu_stages_have_cached_outs_only():
    for stage in ("train", "evaluate", "probe"):
        for out in STAGES.get(stage, {}).get("outs", []):
            assert isinstance(out, str), f"{stage}: {out} is not cached"
        assert not set(STAGES.get(stage, {})) & {"metrics", "plots"}


def test_training_reads_neither_test_nor_ood_data():
    data = [dep for dep in STAGES["train"]["deps"] if dep.startswith("data/")]
    assert data
    ind = "data/${datasets[0]}/"
    allowed = {f"{ind}data/train", f"{ind}data/valid", f"{ind}stats.yaml"}
    assert set(data) <= allowed
