"""What the study computes is timed as its stages run: held to AVX2 where they are."""

import os
import sys

from chimera.files.vectors import hold_to_avx2


def hold_this_process() -> None:
    """Start this script again if libraries that it has loaded have chosen wider vectors."""
    before = dict(os.environ)
    hold_to_avx2([])
    if dict(os.environ) != before:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606
