"""A version that is not the pinned one is told in one line."""

from importlib.metadata import version

import numpy as np

from chimera.interface.versions import report_differing_versions


def test_pinned_versions_are_silent_and_others_are_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch = version("torch").partition("+")[0]
    pins = f"# why\ntorch=={torch}\nnumpy=={np.__version__}\n"
    (tmp_path / "constraints-numerics.txt").write_text(pins)
    report_differing_versions("train-unet-0")
    assert capsys.readouterr().err == ""
    (tmp_path / "constraints-numerics.txt").write_text(f"{pins}scipy==0.0.1\nabsent==2.0\n")
    report_differing_versions("train-unet-0")
    told = f"scipy {version('scipy')} (pinned 0.0.1), absent none (pinned 2.0)"
    assert capsys.readouterr().err == f"train-unet-0: computed by {told}\n"


def test_without_a_file_nothing_is_pinned(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    report_differing_versions("train-unet-0")
    assert capsys.readouterr().err == ""
