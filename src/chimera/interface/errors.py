"""The error of invalid input, and how a stage ends on it."""

import os
import sys
from collections.abc import Callable, Iterable


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
    """Run a stage and end the process, on invalid input with one sentence and exit status 2."""
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    # All outputs are closed, and unloading torch would take a fifth of a second.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
