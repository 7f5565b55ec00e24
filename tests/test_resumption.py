"""A run leaves its state and its history while it goes on."""

import csv

import pytest

from chimera.resumption import run_resumable
from test_training import same, training


def rows(folder):
    """Return the history that lies in a folder, as text."""
    return list(csv.DictReader((folder / "history.csv").read_text().splitlines()))


def test_history_is_readable_while_training_runs(tmp_path, capsys):
    one, seen = training(), []
    advance = one.advance

    def watch():
        if (tmp_path / "history.csv").exists():
            seen.append([row["step"] for row in rows(tmp_path)])
        advance()

    one.advance = watch
    run_resumable(one, "train", tmp_path)
    # Lines at steps 5, 10 and 12 of 12: read before steps 6 .. 10, and before 11 and 12.
    assert seen == [["5"]] * 5 + [["5", "10"]] * 2
    assert [row["step"] for row in rows(tmp_path)] == ["5", "10", "12"]
    assert float(rows(tmp_path)[-1]["train_loss"]) > 0
    assert f"train: the history so far is in {tmp_path}/history.csv" in capsys.readouterr().err


def test_a_run_goes_on_from_what_lies_in_its_folder(tmp_path):
    whole = training()
    run_resumable(whole, "train", tmp_path / "whole")
    killed = training()
    advance, left = killed.advance, iter(range(4))

    def interrupted():
        if next(left, None) is None:
            raise KeyboardInterrupt
        advance()

    killed.advance = interrupted
    with pytest.raises(KeyboardInterrupt):
        run_resumable(killed, "train", tmp_path / "killed")
    resumed = training(seed=99)
    resumed.train = killed.train
    run_resumable(resumed, "train", tmp_path / "killed")
    same(resumed, whole)
