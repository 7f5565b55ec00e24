"""Draw error against training data and compute, from this commit's experiments; see `make curves`.

`python -m chimera.commands.curves [OVERRIDE ...]` takes those that differ in train.trajectories and
train.steps alone from what conf/ composes with these overrides, and writes curves/errors.csv and
curves/errors.png.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import yaml
from dvc.exceptions import DvcException
from dvc.repo import Repo

from chimera.figures.curves import learning_curves
from chimera.figures.style import pictures
from chimera.files.artifacts import write_bytes, write_csv
from chimera.interface.errors import InputError, guarded
from chimera.planning.composition import compose
from chimera.review.learning import learning_rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="curves", description=__doc__)
    parser.add_argument("overrides", nargs="*", help="those of the experiments, such as scale=gpu")
    params = yaml.safe_load(compose(parser.parse_args(arguments).overrides))
    try:
        with Repo() as repo:
            rows = learning_rows(repo.experiments.show(), params)
    except DvcException as error:
        raise InputError(f"`dvc exp show` failed: {error}") from None
    figure = learning_curves(rows, params["model_names"], len(params["replicates"]))
    write_csv(Path("curves/errors.csv"), rows)
    write_bytes(Path("curves/errors.png"), pictures(lambda: figure)["png"])
    print("curves/errors.csv, curves/errors.png")  # noqa: T201


if __name__ == "__main__":
    guarded(main)
