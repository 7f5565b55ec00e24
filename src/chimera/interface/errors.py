"""The error that a user can correct by changing an input, and how a stage ends on it."""

import os
import sys
from collections.abc import Callable


class InputError(ValueError):
    """Input that cannot be used.

    The message is one sentence that names the file or key, the value seen and what was expected.
    A stage prints it without a traceback and exits with status 2.
    """


class InapplicableError(InputError):
    """Data that a probe cannot measure, such as another grid or a single trajectory.

    With user data the study continues without that probe; with generated data it is bad input.
    """


def guarded(main: Callable[[], object]) -> None:
    """Run a stage and end the process; bad input ends it with one sentence and exit status 2."""
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    # Every output is written and closed; torch's own shutdown would take another 0.2 s.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
