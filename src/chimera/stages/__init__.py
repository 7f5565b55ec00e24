"""The stages of dvc.yaml, one module each, of the same name.

A stage reads its coordinates in the matrix from the command line and everything else from
params.yaml, calls the rooms below with plain arguments, and writes its outputs.
"""

import gc
import sys

# Imports make a million objects, of which none is garbage: looking for some takes a fifth of the
# time that torch needs. `guarded` lets the collector begin once a stage has imported what it uses.
if sys.argv[0] == "-m":  # as Python has it while it looks for the module of `python -m`
    gc.disable()
