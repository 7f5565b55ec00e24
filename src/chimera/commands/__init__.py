"""Commands to call by hand, one file each."""

import sys

from chimera.files.vectors import hold_to_avx2

if sys.argv[0] == "-m":  # as Python has it while it looks for the module of `python -m`
    hold_to_avx2(sys.orig_argv)
