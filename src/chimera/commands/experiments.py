"""Print the experiments of this clone in one table.

`python -m chimera.commands.experiments` shows the commit and its experiments, those with the least
OOD error first: what was changed, IND and OOD error of each model, gap, verdict and standing.
`--md` prints the same for a pull request.
"""

import argparse
import shutil
from collections.abc import Sequence

from dvc.exceptions import DvcException
from dvc.repo import Repo

from chimera.interface.errors import InputError, guarded
from chimera.review.experiments import experiments_of, markdown_table, terminal_table


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="experiments", description=__doc__)
    parser.add_argument("--md", action="store_true", help="as Markdown, for a pull request")
    options = parser.parse_args(arguments)
    try:
        with Repo() as repo:
            rows = experiments_of(repo.experiments.show())
    except DvcException as error:
        raise InputError(f"`dvc exp show` failed: {error}") from None
    width = shutil.get_terminal_size(fallback=(120, 24)).columns
    print(markdown_table(rows) if options.md else terminal_table(rows, width))  # noqa: T201


if __name__ == "__main__":
    guarded(main)
