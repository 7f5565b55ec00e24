"""Cells run side by side; a failed one stops the rest, and the lines say how far they are."""

import os
import re
import stat
import time

import pytest

from chimera.commands import cells
from chimera.interface.errors import InputError
from workspaces import ROOT

# What `dvc repro` does here: each run leaves its beginning and end in a file.
DVC = """#!/usr/bin/env bash
while test "${1#-}" != "$1" || test "$1" = repro; do shift; done
echo "begin $1" >> log
sleep 0.3
case $1 in *-bad) echo "error: it diverged" >&2; exit 1 ;; *-old) ;; *) echo "Running stage '$1':" ;; esac
echo "end $1" >> log
"""  # noqa: E501


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder in which `dvc` is the program above."""
    dvc = tmp_path / "bin/dvc"
    dvc.parent.mkdir()
    dvc.write_text(DVC)
    dvc.chmod(dvc.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{dvc.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def log(folder):
    return (folder / "log").read_text().splitlines()


def test_cells_are_stages_of_one_model_and_replicate_in_order():
    stages = ["verify", "train@a-b-0", "train@a-b-1", "evaluate@a-b-0", "probe@ib-a-b-0"]
    stages += ["tuning/dvc.yaml:trial@a-b-0", "generate@cfd2d_ind_v2"]
    kinds = ["train", "evaluate", "probe"]
    first = ["train@a-b-0", "evaluate@a-b-0", "probe@ib-a-b-0"]
    assert cells.cells_of(stages, kinds) == [first, ["train@a-b-1"]]
    assert cells.cells_of(stages, kinds, "0") == [first]
    assert cells.cells_of(stages, kinds, "2|3") == []
    assert cells.cells_of(stages, ["tuning/dvc.yaml:trial"]) == [["tuning/dvc.yaml:trial@a-b-0"]]


@pytest.mark.parametrize("jobs", [1, 2])
def test_as_many_run_at_a_time_as_there_are_jobs(folder, capfd, jobs):
    assert cells.run_cells([[f"train@unet-{n}"] for n in range(4)], jobs)
    running = most = 0
    for line in log(folder):
        running += 1 if line.startswith("begin") else -1
        most = max(most, running)
    assert most == jobs
    said = re.findall(
        r"^cell (\d) of 4: unet-\d, about \d+ min left$", capfd.readouterr().out, re.M
    )
    assert said == ["1", "2", "3", "4"]


def test_the_time_left_is_that_of_the_cells_that_ran(folder, capfd, monkeypatch):
    """Cells of 60 s, one after another: with one of three done, two minutes are left."""
    now = iter(range(0, 600, 60))
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    assert cells.run_cells([["train@unet-0"], ["train@unet-1"], ["train@unet-old"]], 1)
    out = capfd.readouterr().out
    assert "cell 1 of 3: unet-0, about 2 min left" in out
    assert "cell 2 of 3: unet-1, about 1 min left" in out
    assert "unet-old, about" not in out


def test_a_failed_cell_stops_the_rest_and_says_why(folder, capfd):
    assert not cells.run_cells([["train@unet-bad"], *([f"train@unet-{n}"] for n in range(5))], 2)
    begun = [line for line in log(folder) if line.startswith("begin")]
    assert 1 <= len(begun) <= 3, "the one beside it ends; another may have begun before"
    assert "error: it diverged" in capfd.readouterr().err


def test_what_names_no_cell_is_refused(monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(InputError, match="--jobs is 0, expected at least 1"):
        cells.main(["train", "--jobs", "0"])
    for replicates, unknown in (("99", "99"), ("(", r"\("), ("0|y", "y")):
        with pytest.raises(InputError, match=rf"--replicates has '{unknown}', expected what dvc"):
            cells.main(["train", "--replicates", replicates])
    with pytest.raises(InputError, match=r"kinds has 'trian', expected what dvc\.yaml has"):
        cells.main(["train", "trian"])


def test_every_kind_that_the_makefile_runs_is_known(monkeypatch):
    monkeypatch.chdir(ROOT)
    ran = []
    monkeypatch.setattr(cells, "run_cells", lambda found, _: ran.append(found) or True)
    calls = re.findall(r"\$\(call side_by_side,(.+?)\)", (ROOT / "Makefile").read_text())
    assert len(calls) > 1
    for kinds in calls:
        cells.main([*kinds.split(), "--replicates", ""])
    assert len(ran) == len(calls)
    assert all(ran)
