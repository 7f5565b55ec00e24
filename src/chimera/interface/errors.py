"""The one error that a person can mend by changing an input, and how a stage ends on it."""

import gc
import os
import sys
from collections.abc import Callable


class InputError(ValueError):
    """Input that cannot be used.

    The message is one sentence that names the file or key, the value seen and what was expected.
    A stage prints it without a traceback and exits with status 2.
    """


class InapplicableError(InputError):
    """Data of a form that a probe does not measure, such as another grid or a single trajectory.

    With own flow the study goes on without that probe; with generated flow it is bad input.
    """


def guarded(main: Callable[[], object]) -> None:
    """Run a stage and end the process; bad input ends it with one sentence and exit status 2."""
    gc.freeze()  # what was imported lives as long as the process
    gc.enable()
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    # Every output is written and closed; to take torch down as well costs a fifth of a second.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
