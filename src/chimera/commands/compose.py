"""Compose conf/ into params.yaml, exactly as `dvc exp run` does.

`python -m chimera.commands.compose [OVERRIDE ...]` writes params.yaml (Hydra's override grammar,
such as `scale=smoke train.lr=1e-3`); `--check` writes nothing and fails when the committed file
differs from what conf/ gives.
"""

import argparse
from collections.abc import Sequence
from difflib import unified_diff
from pathlib import Path

from chimera.files.artifacts import write_text
from chimera.interface.errors import InputError, guarded
from chimera.planning.composition import compose


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="compose", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("overrides", nargs="*", help="such as scale=smoke or train.lr=1e-3")
    options = parser.parse_args(arguments)
    composed, params = compose(options.overrides), Path("params.yaml")
    if not options.check:
        write_text(params, composed)
        return
    present = params.read_text() if params.exists() else ""
    if present != composed:
        lines = list(unified_diff(present.splitlines(), composed.splitlines(), n=0))
        change = next((line for line in lines[2:] if line[0] in "+-"), "")
        stated = f"params.yaml differs from what conf/ composes (first: {change!r})"
        remedy = "edit conf/ and run `python -m chimera.commands.compose`"
        raise InputError(f"{stated}; expected equal files, so {remedy}")


if __name__ == "__main__":
    guarded(main)
