"""A preregistration that was tampered with is refused: one sentence, exit code 2."""

import subprocess
from pathlib import Path

import pytest
import yaml

from governance.plans import PLAN, bent, markdown, running
from workspaces import command, commit, sentence

PREREGISTRATION, LOG = "PREREGISTRATION.md", "Deviation_Log.md"


@pytest.fixture
def repository(tmp_path):
    """Return a repository with a preregistration, the logs and a run that has finished."""
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=tmp_path, check=True)
    (tmp_path / PREREGISTRATION).write_text(markdown(PLAN))
    for name in (LOG, "Decision_Log.md"):
        (tmp_path / name).write_text("# Log\n")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(running()))
    (tmp_path / "metrics").mkdir()
    commit(tmp_path)
    (tmp_path / "metrics/stats.json").write_text("{}")
    commit(tmp_path)
    return tmp_path


def check(repository, base="main", expect=2):
    return command(repository, "log", "check", "--base", base, expect=expect)


def change(repository, key, value):
    (repository / PREREGISTRATION).write_text(markdown(bent(key, value)))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("margin", 0.2, "PREREGISTRATION.md was edited since"),
        ("pilot.train.lr", 0.005, "PREREGISTRATION.md was edited since"),
        ("primary", "ood_nrsme", "names 'ood_nrsme'"),
        ("study", {}, "study is empty"),
        ("pilot.models", {}, "pilot.models is {}"),
        ("study.seed", 0, "study.seed is 0, the pilot's"),
        ("study.data.seed", 0, "study.data.seed is 0, the pilot's"),
    ],
)
def test_an_edit_is_refused(repository, key, value, words):
    check(repository, expect=0)
    change(repository, key, value)
    assert words in sentence(check(repository))
    # Committed on a branch of its own it is still compared with the base.
    subprocess.run(["git", "checkout", "-qb", "work"], cwd=repository, check=True)
    commit(repository)
    assert words in sentence(check(repository))


def test_white_space_is_an_edit(repository):
    with (repository / PREREGISTRATION).open("a") as file:
        file.write("\n")
    assert "was edited since" in sentence(check(repository))


def test_an_amendment_names_the_file_and_no_later_edit(repository):
    change(repository, "margin", 0.2)
    command(repository, "log", "amendment", "5% matters less than was thought")
    check(repository, expect=0)
    log = (repository / LOG).read_text()
    assert "- reason: 5% matters less than was thought\n" in log
    change(repository, "margin", 0.3)  # after the run, and after its amendment
    assert "is not what the last amendment in Deviation_Log.md names" in sentence(check(repository))
    commit(repository)
    # Even where the base has the same file: the amendment is older than the file.
    assert "is not what the last amendment" in sentence(check(repository, "HEAD"))
    command(repository, "log", "amendment", "another thought")
    check(repository, "HEAD", expect=0)


def test_an_old_amendment_covers_no_return_to_what_it_names(repository):
    change(repository, "margin", 0.2)
    command(repository, "log", "amendment", "once")
    commit(repository)
    change(repository, "margin", 0.1)
    command(repository, "log", "amendment", "twice")
    commit(repository)
    change(repository, "margin", 0.2)
    assert "is not what the last amendment" in sentence(check(repository))


def test_an_entry_that_is_taken_back_is_an_edit_of_the_log(repository):
    change(repository, "margin", 0.2)
    command(repository, "log", "amendment", "once")
    commit(repository)
    (repository / LOG).write_text("# Log\n")
    assert "Deviation_Log.md was edited or cut" in sentence(check(repository))


def test_an_amendment_has_a_reason(repository):
    assert "reason is ''" in sentence(command(repository, "log", "amendment", "", expect=2))


def test_a_deviation_is_logged_against_the_nearer_block(repository):
    params = running("study", evaluate={"horizon": 3})
    (repository / "params.yaml").write_text(yaml.safe_dump(params))
    printed = command(repository, "log", "deviation", "--key", "train.lr", "why", expect=2)
    assert "expected a parameter that deviates: evaluate.horizon" in sentence(printed)
    command(repository, "log", "deviation", "--key", "evaluate.horizon", "short flows")
    check(repository, expect=0)
    assert "evaluate.horizon: 20 became 3" in Path(repository / LOG).read_text()
