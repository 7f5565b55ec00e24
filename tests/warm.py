"""Stages in forks of a process that has loaded torch, which takes a fresh process two seconds.

`python -m chimera.stages.<stage>` then runs as it always does, from the import of its module on:
with its own arguments, folder, environment and files. Training stays in processes of its own,
which tests kill. That a fresh process computes the same bytes is what the test of cells side by
side asks.
"""

import atexit
import gc
import os
import pickle
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

IS_SERVER = __name__ == "__main__"
# Of the socket, and of what stands for `python`.
FOLDER = Path(sys.argv[1] if IS_SERVER else tempfile.mkdtemp(prefix="warm-"))
if not IS_SERVER:
    atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)

FRONT = f"""#!{sys.executable} -IS
import os, pickle, socket, sys

if sys.argv[1:2] == ["-m"] and sys.argv[2].startswith("chimera.stages."):
    link = socket.socket(socket.AF_UNIX)
    if sys.argv[2] != "chimera.stages.train" and not link.connect_ex({str(FOLDER / "socket")!r}):
        message = pickle.dumps((sys.argv[2:], os.getcwd(), dict(os.environ)))
        socket.send_fds(link, [len(message).to_bytes(4, "big")], [0, 1, 2])
        link.sendall(message)
        sys.exit(link.recv(1)[0])
os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])
"""


def start():
    """Start the process, where forks are safe, and what stands for `python`; once."""
    if sys.platform != "linux" or (FOLDER / "python").exists():
        return
    process = subprocess.Popen([sys.executable, __file__, str(FOLDER)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)  # fmt: skip
    atexit.register(process.communicate)  # it ends at the end of its standard input
    assert process.stdout.readline() == b"ready\n"
    (FOLDER / "python").write_text(FRONT)
    (FOLDER / "python").chmod(0o755)


def load():
    """Import what the stages take from elsewhere, as they do: with AVX2 at most."""
    from chimera.files.vectors import hold_to_avx2

    hold_to_avx2([])
    gc.disable()
    import h5py  # noqa: F401

    for name in [name for name in sys.modules if name.partition(".")[0] == "chimera"]:
        del sys.modules[name]  # the stage imports its own, which may be a workspace's
    gc.freeze()


def serve():
    """Fork a process for each stage until standard input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that hand on a status
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(FOLDER / "socket"))
        listening.listen(16)
        print("ready", flush=True)  # noqa: T201
        while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
            link, _ = listening.accept()
            if "torch" not in sys.modules:
                load()
            if os.fork() == 0:
                listening.close()
                hand_on(link)
            link.close()


def hand_on(link):
    """Run one stage in a fork and send its status; end it if who asked for it has ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, _, _ = socket.recv_fds(link, 4, 3)
    message = b""
    while len(message) < int.from_bytes(size, "big"):
        message += link.recv(1 << 16)
    stage = os.fork()
    if stage == 0:
        link.close()
        run(streams, *pickle.loads(message))  # noqa: S301 - from FRONT
    for stream in streams:
        os.close(stream)
    while (ended := os.waitpid(stage, os.WNOHANG))[0] == 0:
        if select.select([link], [], [], 0.01)[0]:
            os.kill(stage, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(ended[1])
    try:
        link.sendall(bytes([status % 256]))
    finally:
        os._exit(0)


def run(streams, arguments, folder, environment):
    """Be `python -m` with these arguments."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    paths = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [folder, *filter(None, paths), *sys.path[1:]]
    sys.orig_argv, sys.argv = ["python", "-m", *arguments], ["-m", *arguments[1:]]
    sys.modules["__main__"] = ModuleType("__main__")
    status = 0
    try:
        runpy._run_module_as_main(arguments[0])
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if IS_SERVER:
    serve()
