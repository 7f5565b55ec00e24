"""Print the experiments of this clone in one table.

`python -m chimera.commands.experiments` shows the commit and its experiments, those with the least
OOD error first: what was changed, IND and OOD error of each model, gap, verdict and standing.
`--md` prints the same for a pull request.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence

from chimera.interface.errors import InputError, guarded
from chimera.review.experiments import markdown_table, read_experiments, terminal_table

_SHOW = ("exp", "show", "--json")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="experiments", description=__doc__)
    parser.add_argument("--md", action="store_true", help="as Markdown, for a pull request")
    options = parser.parse_args(arguments)
    shown = subprocess.run([sys.executable, "-m", "dvc", *_SHOW], capture_output=True, check=False)
    if shown.returncode:
        reasons = [line for line in shown.stderr.decode().splitlines() if line.startswith("ERROR")]
        raise InputError(f"`dvc exp show` failed: {reasons[0] if reasons else shown.returncode}")
    rows = read_experiments(shown.stdout)
    width = shutil.get_terminal_size(fallback=(120, 24)).columns
    print(markdown_table(rows) if options.md else terminal_table(rows, width))  # noqa: T201


if __name__ == "__main__":
    guarded(main)
