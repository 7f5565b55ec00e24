"""Hash the source of one model's network, on which its training depends.

Writes metrics/gates/networks/<model>.yaml: sha256 of every file that defines the network.
"""

from dataclasses import dataclass
from pathlib import Path

from argparse_dataclass import ArgumentParser

from chimera.files.artifacts import read_params, sha256, write_yaml
from chimera.files.imports import imported_files
from chimera.interface.errors import guarded
from chimera.models.forecasting.registry import network_path


@dataclass
class Options:
    """Key of the matrix."""

    model: str


def main() -> None:
    """Run the stage."""
    options = ArgumentParser(Options).parse_args()
    path = network_path(read_params()["models"][options.model], f"models.{options.model}")
    module, _, _ = path.rpartition(".")
    files = imported_files(module, module.rpartition(".")[0])
    gate = Path("metrics/gates/networks") / f"{options.model}.yaml"
    write_yaml(gate, {name: sha256(path) for name, path in files.items()})


if __name__ == "__main__":
    guarded(main)
