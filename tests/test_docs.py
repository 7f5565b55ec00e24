"""README and docs/ hold: the site builds, links and paths exist, code runs, commands are real."""

import ast
import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml
from dvc.cli.parser import get_main_parser
from dvc.repo import Repo
from dvc.utils.hydra import get_hydra_sweeps

from chimera.files.artifacts import read_params
from chimera.planning.composition import compose
from chimera.planning.reruns import files_of, modules, parameters_of
from chimera.stages.networks import read_by_trainings
from workspaces import call, commit

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *DOCS.glob("*.md")]
TARGETS = set(re.findall(r"^([a-z_0-9-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
CITATION = ROOT / "CITATION.cff"
README_LINES = 60

# What a placeholder of the pages stands for where a command is composed.
PLACEHOLDERS = {"FILE": "flow.hdf5", "FILE.npz": "flow.npz", "FOLDER": "flows"}


def prose(page):
    """Return a page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def blocks(language):
    """Return (page, number, text) of every fenced block of a language."""
    return [
        pytest.param(text, id=f"{page.name}-{number}")
        for page in PAGES
        for number, text in enumerate(
            re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
        )
    ]


def commands(first):
    """Return the arguments of every command of a console block that begins with these words."""
    found = []
    for block in blocks("console"):
        for line in block.values[0].replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if line.startswith("$ ") and words[: len(first)] == first:
                found.append(words[len(first) :])
    assert found
    return [pytest.param(words, id=" ".join(words)) for words in found]


def is_written(path):
    """Say whether a path is what a stage writes, lies in it or holds it."""
    bodies = [stage.get("do", stage) for stage in PIPELINE["stages"].values()]
    for body in bodies:
        for out in [*body.get("outs", []), *body.get("metrics", [])]:
            name = out if isinstance(out, str) else next(iter(out))
            pairs = zip(name.split("/"), path.split("/"), strict=False)
            if all("${" in written or written == part for written, part in pairs):
                return True
    return False


def test_the_site_builds_without_a_warning(tmp_path):
    site = tmp_path / "site"
    done = subprocess.run(
        [BIN / "mkdocs", "build", "--strict", "--site-dir", site],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert {page.with_suffix(".html").name for page in DOCS.glob("*.md")} <= {
        path.name for path in site.iterdir()
    }
    reports = {path.parts[-3]: path for path in (ROOT / "records").glob("*/plots/report.html")}
    assert reports
    for record, report in reports.items():
        page = f"records/{record}/report.html"
        assert (site / page).read_bytes() == report.read_bytes()
        assert f'href="{page}"' in (site / "index.html").read_text()


def test_a_broken_link_fails_the_site(tmp_path):
    """`--quiet` would drop the warnings before `--strict` counts them."""
    target = re.search(r"^docs:.*\n\t(mkdocs .+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text("# Home\n\n[gone](nowhere.md)\n")
    (tmp_path / "mkdocs.yml").write_text("site_name: broken\nsite_dir: site\n")
    command = [BIN / "mkdocs", *target[1].split()[1:]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "nowhere.md" in done.stderr


def test_readme_is_one_screen():
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES


MERGED = """
stages:
  cell:
    matrix: {name: "${cells}"}
    cmd: echo ${item.name} >> ran; cp ${item.name}.txt ${item.name}.out
    deps: ["${item.name}.txt"]
    outs: ["${item.name}.out"]
  total:
    cmd: cat one.out two.out > metrics/total.csv
    deps: [one.out, two.out]
    outs: [metrics/total.csv: {cache: false}]
"""


def test_two_branches_merge_as_the_page_says(tmp_path):
    page = (DOCS / "diff.md").read_text().partition("## Merge two branches")[2]
    block = re.search(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[1]
    lines = [shlex.split(line[2:], comments=True) for line in block.splitlines()]
    merge, *then = [words for words in lines if words[0] != "python"]  # nothing is composed here

    def run(*words, expect=0):
        call(tmp_path, *words, expect=expect)

    def train(name):
        (tmp_path / f"{name}.txt").write_text(f"{name}, again\n")
        run("dvc", "repro", "--quiet")
        run("git", "commit", "--all", "--quiet", "--message", name)

    run("git", "init", "--quiet", "--initial-branch", "main")
    run("dvc", "init", "--quiet")
    (tmp_path / ".dvc/config").write_text("[core]\n    analytics = false\n")
    (tmp_path / "metrics").mkdir()
    for name in ("one", "two"):
        (tmp_path / f"{name}.txt").write_text(f"{name}\n")
    files = {"dvc.yaml": MERGED, "params.yaml": "cells: [one, two]\n", ".gitignore": "*.out\nran\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / ".gitattributes").write_text((ROOT / ".gitattributes").read_text())
    run("dvc", "repro", "--quiet")
    run("git", "add", "--all")
    run("git", "commit", "--quiet", "--message", "base")
    run("git", "switch", "--quiet", "--create", "other")
    train("two")
    run("git", "switch", "--quiet", "main")
    train("one")
    (tmp_path / "ran").unlink()
    run(*merge, expect=1)
    assert "<<<<" not in (tmp_path / "dvc.lock").read_text()
    for words in then:
        run(*words)
    assert not (tmp_path / "ran").exists()  # the other branch's cell came from the run cache
    assert (tmp_path / "metrics/total.csv").read_text() == "one, again\ntwo, again\n"
    run("git", "diff", "--quiet", "HEAD")


READ = "mkdir -p metrics && grep ^seed: params.yaml > out && echo '{}' > metrics/headline.json"


@pytest.mark.full
def test_sweeps_and_queues_work_as_the_page_says(tmp_path):
    """Every command of the section, on the project's conf/ and a pipeline of one second."""
    section = (DOCS / "tutorial.md").read_text().partition("## Sweeps and queues")[2]
    block = re.search(r"^```console\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[1]
    lines = [line.removeprefix("$ ").partition("   #")[0].strip() for line in block.splitlines()]
    work = tmp_path / "work"
    for name in ("conf", ".dvc/plugins"):
        shutil.copytree(ROOT / name, work / name)
    for name in (".dvc/config", ".dvc/.gitignore", "params.yaml"):
        shutil.copy(ROOT / name, work / name)
    (work / ".gitignore").write_text("__pycache__/\nout\n")
    stage = {"cmd": READ, "params": ["seed"], "outs": ["out"]}
    stage["metrics"] = [{"metrics/headline.json": {"cache": False}}]
    (work / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"read": stage}}))

    def run(line):
        return call(work, "bash", "-euc", line)

    run("git init --quiet --initial-branch main && dvc repro --quiet")
    commit(work)
    run("git init --quiet --bare ../git && git remote add origin ../git && git push -q origin main")
    run("dvc remote add --quiet --local --default storage ../remote")
    sweep, start, *then = lines
    assert run(sweep).count("Queued experiment") == 4
    assert (work / "params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()
    run(start)
    for _ in range(100):
        status = run("dvc queue status")
        if status.count("Success") == 4:
            break
        assert "Failed" not in status
        time.sleep(1)
    name = next(line.split()[1] for line in status.splitlines() if "Success" in line)
    seeds = []
    for line in then:
        run(line.replace("NAME", name).replace("BRANCH", "kept"))
        seeds.append(yaml.safe_load((work / "params.yaml").read_text())["seed"])
    assert seeds[1] in (1, 2), "applied"
    assert set(seeds[2:]) == {0}, "taken back"
    assert yaml.safe_load(run("git show kept:params.yaml"))["seed"] == seeds[1]
    assert name in run("git ls-remote origin")
    assert any((tmp_path / "remote").rglob("*"))
    assert name not in run("dvc exp list --name-only")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)]+)\)", prose(page)):
        name, _, anchor = link.partition("#")
        if "://" in name:
            continue
        target = (page.parent / name).resolve() if name else page
        if not target.exists():
            assert is_written(target.relative_to(ROOT).as_posix()), link
            if target.suffix == ".png":  # the stage figures draws it under this name
                drawn = (ROOT / "src/chimera/stages/figures.py").read_text()
                assert f'"{target.stem}":' in drawn, link
        elif anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), flags=re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in headings}
            assert anchor in slugs, link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_in_code_exist(page):
    if page.name == "CHANGELOG.md":  # it names what was, too
        return
    folders = ("src", "conf", "data/manifests", "tests", "benchmarks", "slurm", "docs", "metrics")
    folders += ("plots", "checkpoints", ".github")
    for span in re.findall(r"`([^`\n]+)`", prose(page)):
        path = span.split()[0].rstrip("/")
        is_path = path.startswith(tuple(f"{folder}/" for folder in folders))
        if is_path and not re.search("NAME|<|>", path):
            assert (ROOT / path).exists() or is_written(path), span


@pytest.mark.parametrize("text", blocks("python"))
def test_python_blocks_run(text):
    exec(compile(text, "<documentation>", "exec"), {"__name__": "documentation"})  # noqa: S102


@pytest.mark.parametrize("words", commands(["make"]))
def test_make_targets_exist(words):
    target, *variables = words
    assert target in TARGETS
    makefile = (ROOT / "Makefile").read_text()
    for variable in variables:
        assert re.search(rf"\b{variable.partition('=')[0]}\b", makefile), variable


@cache
def help_of(*words):
    """Return what a command prints of itself."""
    done = subprocess.run(
        [sys.executable, "-m", *words, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("words", commands(["python", "-m"]))
def test_modules_take_these_arguments(words):
    name, *arguments = words
    options = {word for word in arguments if word.startswith("--")}
    if name.startswith("chimera.") and (options or ".commands." in name):
        subcommand = arguments[:1] if name == "chimera.commands.log" else []
        printed = help_of(name, *subcommand)
        assert all(option in printed for option in options)
    else:
        assert importlib.util.find_spec(name)


@pytest.mark.parametrize("words", commands(["dvc", "exp", "run"]))
def test_overrides_compose(words):
    words = [word for word in words if word != "--queue"]
    overrides = [word for word in words if word != "-S"]
    assert len(words) == 2 * len(overrides)
    for sweep in get_hydra_sweeps({"params.yaml": overrides}):
        check_overrides(sweep["params.yaml"])


def check_overrides(overrides):
    """Compose the parameters of one experiment."""
    for name, value in PLACEHOLDERS.items():
        overrides = [re.sub(rf"={re.escape(name)}$", f"={value}", word) for word in overrides]
    assert yaml.safe_load(compose(overrides, ROOT / "conf"))


@pytest.mark.parametrize("words", commands(["dvc"]))
def test_dvc_knows_these_arguments(words):
    get_main_parser().parse_args(words)


def test_every_public_name_is_in_the_reference():
    packages = [
        "models", "models.parity", "solver", "fields.metrics", "probes.twonn", "probes.ib",
        "probes.spectra", "probes.patching", "probes.rome", "statistics",
    ]  # fmt: skip
    public = {
        f"chimera.{package}.{name}"
        for package in packages
        for name in importlib.import_module(f"chimera.{package}").__all__
    } | {"chimera.load", "chimera.forecasts.forecaster.Forecaster"}
    reference = (DOCS / "reference.md").read_text()
    described = re.findall(r"^::: (\S+)(?:\n    options: \{heading: \"(\S+)\"\})?", reference, re.M)
    named = {heading or path for path, heading in described}
    assert public == named
    for path, heading in described:
        module, _, name = path.rpartition(".")
        value = getattr(importlib.import_module(module), name)
        if heading:
            package, _, public_name = heading.rpartition(".")
            assert getattr(importlib.import_module(package), public_name) is value


def test_architecture_names_every_room_and_stage():
    page = (DOCS / "architecture.md").read_text()
    rooms = [path.parent for path in (ROOT / "src/chimera").glob("*/__init__.py")]
    for room in rooms:
        assert f"`{room.relative_to(ROOT).as_posix()}`" in page
    assert re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE) == list(PIPELINE["stages"])


def rows():
    """Return (what, file, name, stages) of every row of the page `where is`."""
    found = []
    for line in (DOCS / "where.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[1] != "edit":
            what, file, name = (cell.strip("`") for cell in cells[:3])
            found.append((what, file, name, set(re.findall(r"`(\S+?)`", cells[3]))))
    assert found
    return found


@cache
def watched():
    """Return the paths and the keys of params.yaml that every stage depends on, by its address."""
    with Repo(str(ROOT)) as repo:
        found = {
            stage.addressing: (
                {dep.def_path for dep in stage.deps if not hasattr(dep, "params")},
                {key for dep in stage.deps for key in getattr(dep, "params", ())},
            )
            for stage in repo.index.stages
            if stage.path_in_repo == "dvc.yaml"
        }
    families = {address.partition("@")[0] for address in found}
    for name in PIPELINE["stages"].keys() - families:  # no cell of it is in the study
        body = PIPELINE["stages"][name]
        found[name] = set(body["deps"]), set(body.get("params", ()))
    return found


def reads(address, file, key):
    """Say whether a stage depends on a file, or on a key of params.yaml."""
    (paths, keys), params = watched()[address], read_params(ROOT / "params.yaml")
    for kind in modules():
        if f"metrics/gates/sources/{kind}.yaml" in paths:
            if ROOT / file in digested(kind):
                return True
            keys = keys | parameters_of(kind, params).keys()
    for model in params["models"]:
        if {f"metrics/gates/networks/{model}.yaml", "metrics/gates/networks"} & paths:
            keys = keys | read_by_trainings(params, model).keys()
    path = "params.yaml" if key else file
    return any(f"{path}/".startswith(f"{known}/") for known in paths) or any(
        f"{key}.".startswith(f"{known}.") or f"{known}.".startswith(f"{key}.") for known in keys
    )


@cache
def digested(kind):
    """Return the files in the digest of a kind of cell."""
    return set(files_of(modules()[kind]).values())


def readers(file, key):
    """Return the stages that read a file or a key; `stage@name` where only cells of a name do.

    Left out are stages that write down what others read: `validate`, and of settings `networks`.
    """
    families = {}
    writers = {"validate", *(a for a in watched() if key and a.startswith("networks@"))}
    for address in watched().keys() - writers:
        family, _, cell = address.partition("@")
        families.setdefault(family, {})[cell] = reads(address, file, key)
    found = set()
    for family, cells in families.items():
        hit = [cell for cell, read in cells.items() if read]
        if len(hit) == len(cells):
            found.add(family)
        elif hit:
            names = {part for cell in cells for part in cell.split("-")}
            found |= {
                f"{family}@{name}"
                for name in names
                if {cell for cell in cells if name in cell.split("-")} <= set(hit)
            }
    return found


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row[1]}:{row[2]}")
def test_where_is(row):
    _, file, name, expected = row
    path = ROOT / file
    assert path.is_file()
    if path.suffix == ".py":
        tree = ast.parse(path.read_text())
        defined = {node.name for node in tree.body if hasattr(node, "name")}
        for node in tree.body:
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            defined |= {target.id for target in targets if isinstance(target, ast.Name)}
        assert name in defined
        assert readers(file, None) == expected
    elif file.startswith("conf/"):
        data = [f"data={path.stem}", "data.root=flows"] if path.parent.name == "data" else []
        params = yaml.safe_load(compose(data if path.stem != "generated" else [], ROOT / "conf"))
        value = params
        for part in name.split("."):
            value = value[part]
        assert re.search(rf"\b{name.split('.')[-1]}:", path.read_text())
        makers = {"generate": params["data"]["generated"], "ingest": params["data"]["imported"]}
        without_cells = {stage for stage, datasets in makers.items() if not datasets}
        assert readers(file, name) - without_cells == expected
    else:
        defined = rf"^({name}:|{{% macro {name}\()"
        assert re.search(defined, path.read_text(), flags=re.MULTILINE)
        assert readers(file, None) == expected


@pytest.mark.parametrize("kind", ["probe", "network", "metric", "OOD axis", "statistic", "source"])
def test_where_is_has_a_section_for(kind):
    headings = re.findall(r"^## (.+)$", (DOCS / "where.md").read_text(), flags=re.MULTILINE)
    assert any(kind in heading for heading in headings)


def test_citation_is_valid():
    done = subprocess.run(
        [
            BIN / "check-jsonschema",
            "--builtin-schema",
            "vendor.citation-file-format",
            CITATION,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# Of https://w3id.org/codemeta/3.0.
CODEMETA = [
    "@context",
    "@type",
    "name",
    "description",
    "version",
    "developmentStatus",
    "license",
    "author",
    "keywords",
    "programmingLanguage",
    "runtimePlatform",
    "operatingSystem",
    "softwareRequirements",
    "readme",
    "referencePublication",
]


def test_codemeta_says_what_the_package_and_the_citation_say():
    found = json.loads((ROOT / "codemeta.json").read_text())
    assert list(found) == CODEMETA
    assert (found["@context"], found["@type"]) == (
        "https://w3id.org/codemeta/3.0",
        "SoftwareSourceCode",
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load(CITATION.read_text())
    for key in ("description", "version"):
        assert found[key] == project[key]
    assert found["softwareRequirements"] == project["dependencies"]
    assert found["runtimePlatform"] == f"Python {project['requires-python']}"
    assert found["license"] == f"https://spdx.org/licenses/{citation['license']}"
    assert found["keywords"] == citation["keywords"]
    assert [author["name"] for author in found["author"]] == [
        a["name"] for a in citation["authors"]
    ]
    assert (ROOT / found["readme"]).is_file()
    (paper,) = citation["references"]
    said = found["referencePublication"]
    assert (said["name"], said["datePublished"]) == (paper["title"], str(paper["year"]))
    assert said["identifier"].removeprefix("https://arxiv.org/abs/") in str(paper["identifiers"])
    names = [(author["givenName"], author["familyName"]) for author in said["author"]]
    assert names == [(a["given-names"], a["family-names"]) for a in paper["authors"]]


def test_version_and_licence_agree():
    project = re.search(
        r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), flags=re.MULTILINE
    )[1]
    citation = yaml.safe_load(CITATION.read_text())
    assert str(citation["version"]) == project
    assert citation["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n")
    assert f"## [{project.partition('.dev')[0]}]" in (ROOT / "CHANGELOG.md").read_text()
