"""The stages of dvc.yaml, one module each, of the same name.

A stage takes its matrix coordinates from the command line and everything else from params.yaml,
calls the floors below with plain arguments, and writes its outputs.
"""

import sys
from collections.abc import Callable

from chimera.errors import InputError


def guarded(main: Callable[[], object]) -> None:
    """Run a stage; bad input ends it with one sentence on stderr and exit status 2."""
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
