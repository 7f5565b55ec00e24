"""Hash the source of one model's network, on which its training depends.

Writes metrics/gates/networks/<model>.yaml: sha256 of every file that defines the network.
"""

from pathlib import Path

from chimera.files.artifacts import read_params, sha256, write_yaml
from chimera.files.imports import imported_files
from chimera.interface.errors import guarded
from chimera.models.forecasting.registry import network_path
from chimera.stages import read_keys


def main() -> None:
    """Run the stage."""
    options = read_keys(model=str)
    path = network_path(read_params()["models"][options.model], f"models.{options.model}")
    module, _, _ = path.rpartition(".")
    files = imported_files(module, module.rpartition(".")[0])
    gate = Path("metrics/gates/networks") / f"{options.model}.yaml"
    write_yaml(gate, {name: sha256(path) for name, path in files.items()})


if __name__ == "__main__":
    guarded(main)
