"""Off a terminal, long work leaves plain lines, one a minute."""

import io
import re
import sys
import time

from chimera.interface import progress


def test_one_line_a_minute_with_rate_and_time_left(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.Progress("train", total=100, completed=10, samples=4) as shown:
        for step in range(11, 101):
            now[0] += 2.0
            shown.show(step, "loss 1")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "train: 40/100 steps, 2 samples/s, 60 s, 120 s left loss 1"
    assert lines[1].startswith("train: 70/100 steps")
    assert lines[-1] == "train: 100/100 steps, 2 samples/s, 180 s, 0 s left"
    assert len(lines) == 4


def test_one_long_step_leaves_one_line(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.Progress("solve", total=10, unit="frame") as shown:
        for seconds in (1000.0, 1.0, 1.0):
            now[0] += seconds
            shown.add(1)
        assert (
            capsys.readouterr().err == "solve: 1/10 frames, 0.001 frames/s, 1000 s, 9000 s left\n"
        )
        now[0] += 60.0
        shown.add(7)
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_bar_with_rate_and_time_left_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress.Progress("train", total=4) as shown:
        for step in range(1, 5):
            time.sleep(0.11)  # a bar is drawn at most ten times a second
            shown.show(step, f"loss {step}")
    drawn = terminal.getvalue().split("\r")[-1]
    assert re.search(r"train: 100%.*4/4 \[\d\d:\d\d<00:00, +\d+\.\d\dstep/s, loss 4\]", drawn), (
        drawn
    )


def test_one_of_a_group_speaks_for_all(capsys):
    with progress.Progress("train", total=2, shown=False) as silent:
        silent.say("nothing")
        silent.show(1)
    assert capsys.readouterr().err == ""


def test_tracked_items_are_counted(capsys):
    assert list(progress.track("probe", "abc")) == ["a", "b", "c"]
    assert capsys.readouterr().err.startswith("probe: 3/3 parts, ")
