"""Write down what the trainings of one model depend on: the network's source, and parameters.

Writes metrics/gates/networks/<model>.yaml: `source`, sha256 of every file that defines the network
(of one of the package its own and its imports, else all at its `source`), and what its trainings
read of params.yaml. `train` has what the model sets itself: what no model uses reruns nothing.
"""

from pathlib import Path
from typing import Any

from chimera.files.artifacts import read_params, sha256, write_yaml
from chimera.files.imports import imported_files
from chimera.interface.errors import InputError, guarded
from chimera.models.forecasting.registry import REGISTERED, network_path
from chimera.stages import read_keys


def main() -> None:
    """Run the stage."""
    options, params = read_keys(model=str), read_params()
    settings, key = params["models"][options.model], f"models.{options.model}"
    module, _, _ = network_path(settings, key).rpartition(".")
    if settings["type"] in REGISTERED:
        files = imported_files(module, module.rpartition(".")[0])
    else:
        files = _files_at(settings.get("source"), key)
    digests = {name: sha256(path) for name, path in files.items()}
    path = Path(f"metrics/gates/networks/{options.model}.yaml")
    write_yaml(path, {"source": digests} | read_by_trainings(params, options.model))


def read_by_trainings(params: dict[str, Any], model: str) -> dict[str, Any]:
    """Return what the trainings of a model read of params.yaml, by dotted key."""
    data = {f"data.{k}": params["data"][k] for k in ("conditioning", "fields", "past_frames")}
    section = dict(params["models"][model])
    train = params["train"] | section.pop("train", {})
    return {"seed": params["seed"], "train": train, **data, f"models.{model}": section}


def _files_at(source: Any, key: str) -> dict[str, Path]:
    """Return the files at a path, by their names, without what Python writes beside them."""
    root = Path(source) if isinstance(source, str) else None
    if root is None or not root.exists():
        raise InputError(f"{key}.source is {source!r}, expected the file or folder of the network")
    found = [root] if root.is_file() else sorted(p for p in root.rglob("*") if p.is_file())
    return {p.as_posix(): p for p in found if p.parent.name != "__pycache__"}


if __name__ == "__main__":
    guarded(main)
