"""The stages of dvc.yaml, one module each, of the same name.

A stage reads its coordinates in the matrix from the command line and everything else from
params.yaml, calls the rooms below with plain arguments, and writes its outputs.
"""

import gc
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import field, make_dataclass

import argparse_dataclass

from chimera.files.artifacts import read_params
from chimera.files.vectors import hold_to_avx2
from chimera.interface.errors import InputError, listed
from chimera.interface.settings import Name, read_settings

_KEYS = {
    "dataset": "datasets",
    "model": "model_names",
    "probe": "probe_names",
    "replicate": "replicates",
}

# Imports make a million objects, of which none is garbage: looking for some takes a fifth of the
# time that torch needs. `guarded` lets the collector begin once a stage has imported what it uses.
if sys.argv[0] == "-m":  # as Python has it while it looks for the module of `python -m`
    gc.disable()
    hold_to_avx2(sys.orig_argv)


def read_flag(name: str, meaning: str) -> bool:
    """Return whether the command line has the option of a name; anything else there is refused."""
    flag = field(default=False, metadata={"help": meaning})
    options = argparse_dataclass.ArgumentParser(make_dataclass("Options", [(name, bool, flag)]))
    return bool(getattr(options.parse_args(), name))


def read_keys(**kinds: type) -> Namespace:
    """Return the keys of a cell in the stage's matrix, given as `--<name> <value>`.

    It is an InputError if the study in params.yaml has no such cell.
    """
    parser = ArgumentParser()
    for name, kind in kinds.items():
        parser.add_argument(f"--{name}", type=kind, required=True)
    keys, params = parser.parse_args(), read_params()
    read_settings({name: str(key) for name, key in vars(keys).items()}, "cell", dict[str, Name])
    for name, key in vars(keys).items():
        if key not in (known := params.get(_KEYS[name], [key])):
            raise InputError(f"--{name} is {key}, expected one of {listed(map(str, known))}")
    return keys
