"""The error of invalid input, and how a stage ends on it."""

import gc
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from tempfile import NamedTemporaryFile
from traceback import format_exc


class InputError(ValueError):
    """Invalid input: one sentence with the file or key, the value and what was expected."""


class InapplicableError(InputError):
    """Data that a probe cannot measure, such as another grid or a single trajectory.

    With imported data the study continues without the probe; with generated data it is an error.
    """


class NoSiteError(InapplicableError):
    """A network that offers a probe nothing to measure; the study continues without the probe."""


def listed(names: Iterable[str], most: int = 8) -> str:
    """Return the first names for a sentence, and how many more there are."""
    known = list(names)
    more = [f"{len(known) - most} more"] if len(known) > most else []
    return ", ".join([*known[:most], *more]) or "none"


def guarded(main: Callable[[], object]) -> None:
    """Run a stage or command and end the process, with one sentence unless it succeeds.

    The exit status is 2 for invalid input and for a file that cannot be read or written, 130 after
    Ctrl-C, and 70 for an unexpected exception, whose traceback goes to a file. No library is
    unloaded: with torch that takes a fifth of a second, and some print what they have leaked.
    """
    gc.freeze()  # what was imported lives as long as the process
    gc.enable()
    status, sentence = 0, ""
    try:
        main()
        sys.stdout.flush()
    except SystemExit as end:  # argparse has said why
        status = int(end.code or 0)
    except InputError as error:
        status, sentence = 2, f"error: {error}{_undo()}"
    except KeyboardInterrupt:
        status = 130
        sentence = "interrupted: the same command goes on, and what has finished is kept"
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        status, sentence = 2, f"error: {place}{error.strerror or error}; run the same command again"
    except Exception as error:
        with NamedTemporaryFile("w", prefix="chimera-", suffix=".txt", delete=False) as report:
            report.write(format_exc())
        what = " ".join(f"{type(error).__name__}: {error}".split())
        status, sentence = 70, f"error: unexpected {what}; please report it with {report.name}"
    with suppress(OSError):  # nobody may be left to read it
        print(sentence, end="\n" if sentence else "", file=sys.stderr, flush=True)  # noqa: T201
        sys.stdout.flush()
    os._exit(status)


def _undo() -> str:
    """Return how the settings of `dvc exp run -S`, which a failed run leaves, are undone."""
    here = "DVC_EXP_BASELINE_REV" in os.environ and ".dvc/tmp/exps" not in os.getcwd()
    return "; `git restore params.yaml` undoes what -S set" if here else ""


def _raise(error: BaseException) -> None:
    raise error


if sys.argv[0] == "-m":  # the imports of a stage or command, before `guarded`, take seconds
    sys.excepthook = lambda _, error, __: guarded(partial(_raise, error))
