"""Every end of a stage but success is one sentence with a status of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

END = """
import sys
from chimera.interface.errors import InputError, guarded
def main():
    {body}
guarded(main)
"""
ENDS = {
    "print('done')": (0, ""),
    "raise InputError('a is 1, expected 2')": (2, "error: a is 1, expected 2"),
    "open('/absent/file')": (2, "error: /absent/file: No such file or directory; run the same"),
    "raise OSError(28, 'No space left')": (2, "error: No space left; run the same command again"),
    "raise KeyboardInterrupt": (130, "interrupted: the same command goes on"),
}


def run(body):
    return subprocess.run(
        [sys.executable, "-c", END.format(body=body)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("body", ENDS)
def test_an_end_is_one_sentence(body):
    done, (status, sentence) = run(body), ENDS[body]
    assert done.returncode == status
    assert done.stderr.startswith(sentence)
    assert len(done.stderr.splitlines()) == bool(sentence)


def test_an_experiment_that_is_refused_says_how_its_settings_are_undone(monkeypatch, tmp_path):
    refused = END.format(body="raise InputError('a is 1, expected 2')")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "HEAD")  # which DVC gives to every stage of one
    queued = tmp_path / ".dvc/tmp/exps/standard/tmp1"  # which changes no file of the workspace
    queued.mkdir(parents=True)
    undone = "; `git restore params.yaml` undoes what -S set"
    for folder, end in ((tmp_path, undone), (queued, "")):
        done = subprocess.run(
            [sys.executable, "-c", refused], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.stderr == f"error: a is 1, expected 2{end}\n"


def test_what_nobody_expected_asks_for_a_report(tmp_path):
    done = run("raise KeyError('half' + 'way')")
    assert done.returncode == 70
    assert done.stderr.startswith("error: unexpected KeyError: 'halfway'; please report it with ")
    report = Path(done.stderr.split()[-1])
    written = report.read_text()
    report.unlink()
    assert "Traceback" in written
    assert 'File "<string>", line 5, in main' in written


SLOW = "import time; print('begun', flush=True); time.sleep(60)"


@pytest.mark.parametrize("arguments", [
    ("-c", END.format(body=SLOW)),
    ("-m", "chimera.stages.aggregate"),  # while it imports what is no part of the project
    ("-m", "chimera.commands.intact"),
])  # fmt: skip
def test_an_interrupt_is_one_line(tmp_path, arguments):
    (tmp_path / "yaml.py").write_text(SLOW)
    (tmp_path / "dvc.py").write_text(SLOW)
    path = f"{tmp_path}{os.pathsep}{ROOT / 'src'}"
    command = [sys.executable, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    pipes["env"] = os.environ | {"PYTHONPATH": path}
    # Whoever runs the tests in the background has them ignore the signal.
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, **pipes)
    signal.signal(signal.SIGINT, heard)
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate()
    assert process.returncode == 130
    assert printed.splitlines() == [
        "interrupted: the same command goes on, and what has finished is kept"
    ]


def test_garbage_is_collected_once_a_stage_has_imported_what_it_uses():
    """Imports go without the collector (chimera.stages); a stage that trains for hours does not."""
    program = """
import gc
from chimera.interface.errors import InputError, guarded
def main():
    raise InputError(f"it is {gc.isenabled()}")
gc.disable()
guarded(main)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (2, b"error: it is True\n")


@pytest.mark.parametrize(
    ("end", "status", "said"),
    [
        ("raise InputError('it is so')", 2, "error: it is so\n"),
        ("raise KeyboardInterrupt", 130, "interrupted: the same command goes on, and what has"),
        (
            "argparse.ArgumentParser(prog='plan').parse_args(['--so'])",
            2,
            "usage: plan [-h]\nplan: e",
        ),
        ("print('all')", 0, ""),
    ],
)
def test_a_library_that_reports_on_its_way_out_is_not_heard(end, status, said):
    """Those of nanobind, which triton is made of, list their leaks when they are unloaded."""
    program = f"""
import argparse, atexit, sys
from chimera.interface.errors import InputError, guarded
atexit.register(print, "leaked 64 types!", file=sys.stderr)
def main():
    print("begun")
    {end}
guarded(main)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert done.stdout == ("begun\n" if status else "begun\nall\n")
    assert done.stderr.startswith(said)
    assert "leaked" not in done.stderr
