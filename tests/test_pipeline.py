"""House rules: stages declare what they run, imports point downward, and a file's place decides.

The touch table says which stages an edit of a file marks as changed, those that its digest marks
included; what follows them runs only if their outputs change, and a gate's output is the same for
all that pass it. `validate`, which hands on the digests and takes two seconds, runs after every
edit but those of WITHOUT_DIGEST, and is left out of the rows.
"""

import ast
import re
from fnmatch import fnmatchcase
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from chimera.data.settings import GeneratedData, read_data_of
from chimera.data.sources.simulation import simulate_dataset
from chimera.planning.composition import compose
from chimera.planning.reruns import deciding, files_of, modules, parameters_of
from chimera.stages.networks import read_by_trainings

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
FLOORS = {
    "interface": 0,
    "files": 0,
    "fields": 1,
    "solver": 1,
    "statistics": 1,
    "models": 1,
    "data": 2,
    "training": 2,
    "tuning": 2,
    "evaluation": 2,
    "probes": 2,
    "study": 3,
    "governance": 3,
    "planning": 3,
    "figures": 3,
    "report": 3,
    "metadata": 3,
    "review": 3,
    "forecasts": 3,
    "stages": 4,
    "commands": 4,
}
# They read, report and refuse, and decide no byte of an output.
EXEMPT = {f"chimera.interface.{name}" for name in ("errors", "progress", "settings", "versions")}
EXEMPT.add("chimera.stages")  # it sets the garbage collector and switches, and reads a cell's keys
# What a gate hands on stands for the files that it hashes.
HASHED = {
    "metrics/gates/networks": "chimera.models.networks",
    "checkpoints/${item.model}": "chimera.models.networks",
}
DIGESTED = {kind: files_of(starts) for kind, starts in modules().items()}
IN_EVERY_PROBE = set.intersection(*(set(DIGESTED[k]) for k in modules() if k not in STAGES))


def module_files() -> dict[str, Path]:
    """Return every module of the package, by dotted name."""
    files = {}
    for path in sorted((SOURCE / "chimera").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


MODULES = module_files()
LAZY = {
    name
    for name, path in MODULES.items()
    if re.search(r"^(def __getattr__|__getattr__, __dir__)", path.read_text(), re.MULTILINE)
}


def parents(module: str) -> set[str]:
    """Return the packages that a module lies in."""
    return {".".join(module.split(".")[:i]) for i in range(1, module.count(".") + 1)}


def room(module: str) -> str:
    """Return the first name below the package."""
    return module.split(".")[1] if "." in module else ""


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
    return (known | {p for name in known for p in parents(name)}) - {module}


def closure(module: str) -> set[str]:
    """Return everything that importing a module runs."""
    reached, frontier = set(), {module, *parents(module)}
    while frontier:
        reached |= frontier
        frontier = set().union(*(imports(name) for name in frontier)) - reached
    return reached


def decides_nothing(module: str) -> bool:
    """Whether a module is exempt, or an __init__ of names alone."""
    body = ast.parse(MODULES[module].read_text()).body
    kinds = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign)
    is_names = MODULES[module].name == "__init__.py" and all(isinstance(n, kinds) for n in body)
    return module in EXEMPT or module in LAZY or is_names


def declaration(stage: str) -> dict:
    """Return a stage as dvc.yaml declares it, of a `foreach` what it does."""
    return STAGES[stage].get("do", STAGES[stage])


def covered(module: str, deps: list[str]) -> bool:
    """Whether a module's file, or a gate that hashes it, is among the dependencies."""
    path = MODULES[module]
    by_gate = any(
        dep.startswith(gate) and module.startswith(package)
        for gate, package in HASHED.items()
        for dep in deps
    )
    by_digest = any(
        f"metrics/gates/sources/{kind}.yaml" in deps and module in digested
        for kind, digested in {**DIGESTED, "${item.probe}": IN_EVERY_PROBE}.items()
    )
    return by_gate or by_digest or any(ROOT / dep in (path, *path.parents) for dep in deps)


@pytest.mark.parametrize("stage", STAGES)
def test_stage_is_a_module_and_a_command_of_the_same_name(stage):
    assert f"chimera.stages.{stage}" in MODULES
    command = declaration(stage)["cmd"].split()
    assert command[:3] == ["python", "-m", f"chimera.stages.{stage}"]


def test_commands_quote_what_they_are_given():
    """A name from params.yaml is one word, whatever it holds; it holds no quote of its own."""
    for file in ("dvc.yaml", "tuning/dvc.yaml"):
        for stage in yaml.safe_load((ROOT / file).read_text())["stages"].values():
            command = stage.get("do", stage)["cmd"]
            assert "${" not in re.sub(r"'\$\{[^{}']*\}'", "", command), command


def test_names_are_checked_before_anything_is_built_from_them():
    for name in STAGES:
        if "${" in str(declaration(name)["cmd"]) and name not in ("train", "evaluate", "probe"):
            assert f"metrics/gates/sources/{name}.yaml" in declaration(name)["deps"], name
    for name, gate in {
        "train": "parity",
        "evaluate": "checkpoints",
        "probe": "checkpoints",
    }.items():
        assert any(gate in dep for dep in STAGES[name]["deps"])


def test_every_module_of_stages_is_a_stage():
    modules = {m.rpartition(".")[2] for m in MODULES if m.startswith("chimera.stages.")}
    assert modules == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_deps_hold_the_import_closure(stage):
    deps = declaration(stage)["deps"]
    assert all((ROOT / dep).exists() for dep in deps if dep.startswith("src/") and "$" not in dep)
    for module in closure(f"chimera.stages.{stage}"):
        if not decides_nothing(module):
            path = MODULES[module].relative_to(ROOT)
            assert covered(module, deps), f"{stage} runs {path}, which its deps do not list"


@pytest.mark.parametrize("stage", ["trials", "repeats"])
def test_a_trial_depends_on_all_code_that_trains(stage):
    stages = yaml.safe_load((ROOT / "tuning/dvc.yaml").read_text())["stages"]
    assert stages["subject"]["outs"][0] in stages[stage]["deps"]
    deps = stages["subject"]["deps"] + stages[stage]["deps"]
    used = {"training.cell", "training.resumption"}
    used.add("tuning.search" if stage == "trials" else "tuning.table")
    for module in set().union(*(closure(f"chimera.{name}") for name in used)):
        if not decides_nothing(module) and not module.startswith("chimera.models.networks"):
            assert covered(module, deps), f"{stage} runs {module}, which its deps do not list"


@pytest.mark.parametrize("stage", STAGES)
def test_deps_list_no_code_that_the_stage_never_imports(stage):
    reached = {MODULES[module] for module in closure(f"chimera.stages.{stage}")}
    lazily = {
        "figures": ["src/chimera/tuning/table.py"],
    }
    if stage == "validate":
        reached |= {path for digested in DIGESTED.values() for path in digested.values()}
    for dep in declaration(stage)["deps"]:
        path = ROOT / dep
        if dep.startswith("src/") and dep not in lazily.get(stage, []):
            assert any(path == file or path in file.parents for file in reached), dep


@pytest.mark.parametrize("kind", DIGESTED)
def test_the_digest_of_a_kind_of_cell_has_all_that_it_runs(kind):
    run = set().union(*(closure(start) for start in modules()[kind]))
    assert set(DIGESTED[kind]) == {module for module in run if not decides_nothing(module)}
    deps = [ROOT / dep for dep in STAGES["validate"]["deps"]]
    for path in DIGESTED[kind].values():
        assert any(dep in (path, *path.parents) for dep in deps), f"{path} is not in its deps"


def test_every_stage_up_to_the_cells_has_a_digest():
    outs = {f"metrics/gates/sources/{kind}.yaml" for kind in modules()}
    assert set(STAGES["validate"]["outs"]) == outs
    probes = yaml.safe_load((ROOT / "params.yaml").read_text())["probe_names"]
    stages = set(STAGES) - {"validate", "probe", "aggregate", "stats", "figures", "report"}
    assert set(modules()) == stages | {*probes}
    for stage in (*stages, "probe"):
        kind = "${item.probe}" if stage == "probe" else stage
        assert f"metrics/gates/sources/{kind}.yaml" in declaration(stage)["deps"]


def parameters_read(module):
    """Return what a stage reads of `params`, or of a section that has a name, by dotted key."""
    tree, named = ast.parse(MODULES[module].read_text()), {"params": ""}

    def key_of(node):
        if isinstance(node, ast.Name):
            return named.get(node.id)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            above, key = key_of(node.value), node.slice.value
            return f"{above}.{key}".lstrip(".") if above is not None and key != 0 else None
        return None

    named_by, local = set(), set()
    defined = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    readers = [f for f in defined if any(a.arg == "params" for a in f.args.args)]
    readers += [f for f in defined if "read_params()" in ast.unparse(f)]
    nodes, functions = [n for f in readers for n in ast.walk(f)], {f.name for f in readers}
    for node in nodes:
        if isinstance(node, ast.Assign):
            both = node.targets[0], node.value
            pairs = zip(*(n.elts if isinstance(n, ast.Tuple) else [n] for n in both), strict=False)
            found = {t.id: v for t, v in pairs if isinstance(t, ast.Name) and key_of(v)}
            named |= {name: key_of(value) for name, value in found.items()}
            named_by |= set(found.values())
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) in functions:
            local |= set(node.args)  # the module's own function has the same name for it
    keys = {node: key for node in nodes if (key := key_of(node)) is not None}
    within = {node.value for node in keys if isinstance(node, ast.Subscript)} | named_by | local
    return {
        key
        for node, key in keys.items()
        if node not in within and not isinstance(getattr(node, "ctx", None), ast.Store)
    }


def test_what_a_stage_reads_is_all_that_it_names_of_its_parameters(tmp_path, monkeypatch):
    def read(*lines):
        own = "def own(params):\n    return params['x']"
        other = "def other():\n    params = 1; f(params)"  # a name of something else
        body = "\n    ".join(["def main():", "params = read_params()", *lines])
        (tmp_path / "stage.py").write_text("\n\n".join([own, other, body]))
        monkeypatch.setitem(MODULES, "stage", tmp_path / "stage.py")
        return parameters_read("stage") - {"x"}

    assert read('f(params["a"]["b"], params["a"]["c"])') == {"a.b", "a.c"}
    assert read('a, n = params["a"], 3', 'f(a["x"], a["y"][1:])') == {"a.x", "a.y"}
    assert read('a = params["a"]', 'f(a["x"])', 'a.get("y")') == {"a.x", "a"}
    assert read('a = params["a"]', "f(a)") == {"a"}
    assert read('params.get("x")') == {""}
    assert read("own(params)") == set()


@pytest.mark.parametrize(
    ("stage", "kind"),
    [("evaluate", "evaluate"), ("probe", "ib"), ("verify", "verify"), ("parity", "parity")],
)
def test_the_parameters_of_a_kind_are_those_that_its_stage_reads(stage, kind):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    read = parameters_read(f"chimera.stages.{stage}")
    if stage == "parity":  # the files of the networks, on which it depends, have these
        read -= {"models", *read_by_trainings(params, "unet")}
        assert "metrics/gates/networks" in STAGES["parity"]["deps"]
    written = parameters_of(kind, params)
    assert read == {key.removesuffix(f".{kind}") for key in written}


def test_the_parameters_of_generate_are_those_that_a_simulation_reads(tmp_path):
    """But for the settings of its own dataset, on which each cell depends by itself."""
    read = set()

    class Recorded:
        def __getattr__(self, name):
            read.add(name)
            return getattr(data, name)

    params = yaml.safe_load(compose(["scale=smoke"], ROOT / "conf"))
    data = read_data_of(params["data"], GeneratedData)
    for name in data.names:
        simulate_dataset(name, Recorded(), tmp_path / name)
    keys = parameters_of("generate", params)
    assert {f"data.{name}" for name in read - {"datasets"}} == set(keys)


def test_the_parameters_of_a_model_are_those_that_its_trainings_read():
    read = parameters_read("chimera.stages.train") - {"models"} | {"models.unet"}
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert read == read_by_trainings(params, "unet").keys()
    search = yaml.safe_load((ROOT / "tuning/dvc.yaml").read_text())["stages"]
    for stage in (STAGES["train"], search["subject"]):
        assert "metrics/gates/networks/${item.model}.yaml" in stage["deps"]


def test_a_common_rate_reruns_the_models_that_have_none_of_their_own_alone():
    params, changed = (yaml.safe_load((ROOT / "params.yaml").read_text()) for _ in range(2))
    changed["train"]["lr"] = 2 * changed["train"]["lr"]
    assert read_by_trainings(changed, "unet") == read_by_trainings(params, "unet")
    del params["models"]["unet"]["train"], changed["models"]["unet"]["train"]
    assert read_by_trainings(changed, "unet") != read_by_trainings(params, "unet")


def test_the_versions_decide_every_kind_of_cell(tmp_path, monkeypatch):
    """The numbers of stats, too, which is no cell."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    before = {kind: deciding(kind, params) for kind in modules()}
    (tmp_path / "constraints-numerics.txt").write_text("numpy==1.0\n")
    monkeypatch.chdir(tmp_path)
    for kind, found in before.items():
        differing = {name for name, of in deciding(kind, params).items() if of != found[name]}
        assert differing == {"constraints-numerics.txt"}
    for stage in ("validate", "stats"):
        assert "constraints-numerics.txt" in STAGES[stage]["deps"]


def test_a_parameter_reruns_the_cells_that_read_it_alone():
    """`validate` runs after any change of params.yaml, cells where their file is another."""
    assert "params.yaml" in STAGES["validate"]["deps"]
    params, changed = (yaml.safe_load((ROOT / "params.yaml").read_text()) for _ in range(2))
    for section, key, kinds in (
        (changed["probes"]["ib"], "shuffles", {"ib"}),
        (changed["evaluate"], "horizon", {"evaluate"}),
        (changed["evaluate"], "threads", {"evaluate", *PROBES}),
        (changed["data"], "num_frames", {"generate"}),
        (changed["train"], "memory", {*PROBES}),
        (changed["figures"], "style", set()),
    ):
        former = section[key]
        section[key] = "another"
        differing = {k for k in modules() if parameters_of(k, params) != parameters_of(k, changed)}
        assert differing == kinds
        section[key] = former


def test_exempt_files_are_never_a_dependency():
    for stage in STAGES:
        for dep in declaration(stage)["deps"]:
            assert not dep.startswith("src/chimera/interface"), f"{stage} depends on {dep}"


def test_lazy_names_are_for_users_alone():
    """A stage that read one would run a file that no import shows."""
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in LAZY:
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                assert names <= set(MODULES), f"{module} imports {names} lazily"


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"chimera"}))
def test_imports_point_downward(module):
    for imported in imports(module) - {"chimera"}:
        assert FLOORS[room(imported)] <= FLOORS[room(module)], f"{module} imports {imported}"


def test_no_cycles():
    graph = {m: imports(m) - parents(m) for m in MODULES}
    TopologicalSorter(graph).prepare()


def test_stages_and_commands_never_import_each_other():
    for module in MODULES:
        if room(module) in ("stages", "commands") and module.count(".") > 1:
            others = {n for n in imports(module) if room(n) in ("stages", "commands")}
            assert others <= parents(module), f"{module} imports {others}"


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("chimera.stages.")])
def test_stages_are_thin(module):
    statements = [line for line in MODULES[module].read_text().splitlines() if line.strip(" \n)]}")]
    assert len(statements) <= 80, f"{module}: {len(statements)} lines"


def test_numerics_open_no_files():
    forbidden = {"yaml", "argparse", "matplotlib", "h5py", "safetensors", "json", "csv"}
    for module, path in MODULES.items():
        if room(module) and FLOORS[room(module)] <= 1 and room(module) != "files":
            tree = ast.parse(path.read_text())
            names = set()
            for node in ast.walk(tree):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    names.add((node.module or "").split(".")[0])
            assert not names & forbidden, f"{module} imports {names & forbidden}"
            called = {
                node.func.id
                for node in ast.walk(tree)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            assert "open" not in called, f"{module} opens a file"


def test_gpu_stages_have_cached_outs_only():
    for stage in ("train", "evaluate", "probe"):
        for out in STAGES[stage]["outs"]:
            assert isinstance(out, str), f"{stage}: {out} is not cached"
        assert not set(STAGES[stage]) & {"metrics", "plots"}


def test_training_depends_on_no_ood_data():
    data = [dep for dep in STAGES["train"]["deps"] if dep.startswith("data/")]
    assert data == ["data/${datasets[0]}"]


@pytest.fixture(scope="module")
def resolved():
    """Return the dependencies and outputs of every stage at the default scale, as DVC has them."""
    repo = Repo(str(ROOT))
    try:
        return {
            stage.addressing: (
                [Path(dep.fs_path) for dep in stage.deps],
                [Path(out.fs_path) for out in stage.outs],
            )
            for stage in repo.index.stages
            if stage.path_in_repo == "dvc.yaml"
        }
    finally:
        repo.close()


def test_dependencies_are_whole_outputs_or_folders_of_them(resolved):
    """A file inside a directory output cannot be had where the cache lacks the whole."""
    outputs = {out for _, outs in resolved.values() for out in outs}
    for stage, (deps, _) in resolved.items():
        for dep in deps:
            inside = [out for out in outputs if out in dep.parents]
            assert not inside, f"{stage} depends on {dep}, which lies inside the output {inside}"


MODELS, REPLICATES = ("unet", "fractal_unet"), (0, 1, 2)
CELLS = [f"{model}-{replicate}" for model in MODELS for replicate in REPLICATES]
PROBES = ("twonn", "ib", "spectra", "patching", "rome")
TRAIN, EVALUATE = ({f"{stage}@{cell}" for cell in CELLS} for stage in ("train", "evaluate"))
PROBE = {probe: {f"probe@{probe}-{cell}" for cell in CELLS} for probe in PROBES}
EVERY_PROBE = set().union(*PROBE.values())
SAMPLED = PROBE["twonn"] | PROBE["ib"] | PROBE["rome"]
STEPPED = PROBE["spectra"] | PROBE["patching"]
NETWORKS = {f"networks@{model}" for model in MODELS}
GENERATE = {
    f"generate@{name}" for name in yaml.safe_load((ROOT / "params.yaml").read_text())["datasets"]
}
CELL = TRAIN | EVALUATE | EVERY_PROBE
RESULTS = {"aggregate", "stats", "figures", "report"}
GATES = NETWORKS | {"parity", "verify"}
TOUCH = {
    "interface/*.py": set(),
    "files/arrays.py": RESULTS | GENERATE | {"verify"},
    "files/imports.py": RESULTS | NETWORKS,
    "files/streams.py": RESULTS | GENERATE,
    "files/tensors.py": RESULTS | CELL,
    "files/artifacts.py": RESULTS | CELL | GENERATE | GATES,
    "files/vectors.py": RESULTS | CELL | GENERATE | GATES,
    "commands/*.py": set(),
    "forecasts/*.py": set(),
    "metadata/*.py": set(),
    "review/*.py": set(),
    "planning/c*.py": set(),
    "planning/reruns.py": set(),
    "planning/break_even.py": {"figures", "report"},
    "figures/[!_]*.py": {"figures"},
    "report/*.py": {"report"},
    "report/templates/report.html": {"report"},
    "statistics/[!_]*.py": {"stats"},
    "statistics/resampling/samples.py": SAMPLED | PROBE["spectra"] | {"stats"},
    "statistics/resampling/intervals.py": PROBE["ib"] | PROBE["spectra"] | {"stats"},
    "models/parity/*.py": {"parity"},
    "models/networks/[!_]*.py": NETWORKS,
    "models/networks/padding.py": NETWORKS | PROBE["rome"],
    "models/networks/periodic.py": NETWORKS | PROBE["rome"],
    "models/networks/site.py": NETWORKS | CELL | {"parity"},
    "models/forecasting/[!_]*.py": CELL,
    "models/forecasting/building.py": CELL | {"parity"},
    "models/forecasting/sites.py": CELL | {"parity"},
    "models/forecasting/stepping.py": CELL | {"parity"},
    "models/forecasting/optimizers.py": TRAIN | PROBE["rome"],
    "models/forecasting/registry.py": CELL | NETWORKS | {"parity"},
    "fields/fourier.py": GENERATE | EVALUATE | STEPPED,
    "fields/metrics.py": EVALUATE,
    "fields/bands.py": STEPPED,
    "fields/nrmse.py": TRAIN | EVALUATE | STEPPED,
    "evaluation/errors.py": EVALUATE,
    "evaluation/forecasters.py": EVALUATE | PROBE["patching"],
    "evaluation/settings.py": EVALUATE,
    "probes/common/[!_]*.py": EVERY_PROBE,
    "probes/common/sampling.py": SAMPLED,
    "probes/common/effects.py": PROBE["patching"] | PROBE["rome"],
    **{f"probes/{probe}/[!_]*.py": cells for probe, cells in PROBE.items()},
    "data/settings.py": GENERATE,
    "data/checksums.py": GENERATE | {"verify"},
    "data/verification.py": {"verify"},
    "data/batches/[!_]*.py": TRAIN,
    "data/layout/[!_]*.py": CELL | {"verify"},
    "data/layout/leakage.py": GENERATE | {"verify"},
    "data/layout/recordings.py": CELL | GENERATE | {"verify"},
    "data/sources/[!_]*.py": set(),  # readers of other formats
    "data/sources/dataset.py": GENERATE,
    "data/sources/generation.py": GENERATE,
    "data/sources/simulation.py": GENERATE,
    "data/sources/threads.py": GENERATE,
    "data/sources/well_writer.py": GENERATE,
    "training/[!_]*.py": TRAIN,
    "tuning/s*.py": set(),
    "tuning/table.py": {"figures", "report"},
    "solver/[!_]*.py": GENERATE | EVALUATE | PROBE["patching"],
    "solver/compiled/[!_]*.py": GENERATE | EVALUATE | PROBE["patching"],
    "study/[!_]*.py": RESULTS,
    "study/axes.py": RESULTS | {"verify"},
    "governance/*.py": RESULTS,
    **{f"stages/{stage}.py": None for stage in STAGES},
}


WITHOUT_DIGEST = (  # beginnings of rows
    "interface/", "commands/", "forecasts/", "metadata/", "review/", "planning/c", "planning/b",
    "figures/", "report/", "statistics/[", "tuning/", "study/[", "governance/",
)  # fmt: skip


# The last row that a file matches is its own: those of single files follow those of rooms.
ROWS: dict[str, list[Path]] = {pattern: [] for pattern in TOUCH}
for touched in sorted(path for path in (SOURCE / "chimera").rglob("*") if path.is_file()):
    relative = touched.relative_to(SOURCE / "chimera").as_posix()
    if touched.name == "__init__.py":
        continue
    if matching := [pattern for pattern in TOUCH if fnmatchcase(relative, pattern)]:
        ROWS[matching[-1]].append(touched)


@pytest.mark.parametrize("pattern", TOUCH)
def test_touching_a_file_marks_these_stages_and_no_others(resolved, pattern):
    assert ROWS[pattern]
    for file in ROWS[pattern]:
        marked = {
            stage
            for stage, (deps, _) in resolved.items()
            if any(dep in (file, *file.parents) for dep in deps)
        }
        digests = {
            ROOT / f"metrics/gates/sources/{kind}.yaml"
            for kind, digested in DIGESTED.items()
            if file in digested.values()
        }
        is_of_params = file.match("figures/settings.py") or not pattern.startswith(WITHOUT_DIGEST)
        assert ("validate" in marked) is is_of_params, file
        marked |= {stage for stage, (deps, _) in resolved.items() if digests & set(deps)}
        expected = TOUCH[pattern]
        if expected is None:
            expected = {stage for stage in resolved if stage.split("@")[0] == file.stem}
        assert marked - {"validate"} == expected - {"validate"}, file


def test_every_file_has_a_row_in_the_touch_table():
    files = {path for path in MODULES.values() if path.name != "__init__.py"}
    assert files <= {file for found in ROWS.values() for file in found}
