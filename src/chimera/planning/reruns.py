"""What decides each stage up to the cells, so that an edit reruns only what it can change.

Of each kind of these, a stage or a probe: sha256 of the module and of all that it imports from the
package, by dotted name, and of the file of versions. Left out are `interface`, which reads, reports
and refuses, and every `__init__.py`, which decides nothing itself; a model's network has a file of
its own. Parameters that all of a kind read are here, too: DVC would read params.yaml for each cell.
"""

from functools import reduce
from pathlib import Path
from typing import Any

from chimera.files.artifacts import sha256, write_yaml
from chimera.files.imports import imported_files
from chimera.interface.versions import PINS

# What all of a kind read of params.yaml; the file of train stands for code in tuning/, too.
SHARED_KEYS = {
    "generate": "data.seed data.domain_extent data.num_points data.simulated_points "
    "data.warm_up_points data.num_frames data.frame_interval",
    "verify": "datasets data.fields data.conditioning data.manifests",
    "parity": "datasets model_names baseline parity.tolerance data.shape",
    "evaluate": "evaluate",
    **dict.fromkeys(("ingest", "networks", "train"), ""),
}
PROBE_KEYS = "seed evaluate.device evaluate.threads train.memory probes.{kind}"
ROOT = Path(__file__).parents[1]


def modules() -> dict[str, list[str]]:
    """Return the modules that each kind starts from."""
    found = {stage: [f"chimera.stages.{stage}"] for stage in SHARED_KEYS}
    for probe in sorted(path.parent.name for path in ROOT.glob("probes/*/measure.py")):
        parts = [f"chimera.probes.{probe}.{part}" for part in ("measure", "settings")]
        found[probe] = ["chimera.stages.probe", *parts]
    return found


def files_of(starts: list[str]) -> dict[str, Path]:
    """Return the files that decide what these modules compute, by dotted name."""
    files = {k: v for start in starts for k, v in imported_files(start, "chimera").items()}
    return {
        name: path
        for name, path in sorted(files.items())
        if not name.startswith("chimera.interface.") and path.name != "__init__.py"
    }


def parameters_of(kind: str, params: Any) -> dict[str, Any]:
    """Return the parameters that all of a kind read, by dotted key; None if absent."""
    keys = SHARED_KEYS.get(kind, PROBE_KEYS).format(kind=kind).split()
    return {key: reduce(lambda part, name: part.get(name), key.split("."), params) for key in keys}


def deciding(kind: str, params: Any) -> dict[str, Any]:
    """Return the digests and the parameters that decide a kind."""
    files = {str(PINS): PINS, **files_of(modules()[kind])}
    return {name: sha256(path) for name, path in files.items()} | parameters_of(kind, params)


def write_deciding(params: Any) -> None:
    """Write metrics/gates/sources/<kind>.yaml, on which all of a kind depend."""
    for kind in modules():
        write_yaml(Path(f"metrics/gates/sources/{kind}.yaml"), deciding(kind, params))
