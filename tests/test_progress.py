"""Off a terminal, long work leaves plain lines, one a minute."""

from chimera import progress


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
