"""Write down what decides each kind of cell, so that an edit reruns these cells and no others.

Writes metrics/gates/sources/<kind>.yaml for every stage whose cells take long and for every probe:
sha256 of the module and of all that it imports from the package, by dotted name. Left out are
`interface`, which reads, reports and refuses, and every `__init__.py`, which has names alone; the
files of the networks stand in metrics/gates/networks/. Of a kind whose cells all read the same
parameters these stand there too: DVC would read params.yaml once for each of its cells.
"""

from pathlib import Path
from typing import Any

from chimera.files.artifacts import read_params, sha256, write_yaml
from chimera.files.imports import imported_files
from chimera.interface.errors import guarded

STAGES = ("generate", "ingest", "train", "evaluate")
KEYS = {
    "generate": (
        *("data.seed", "data.domain_extent", "data.num_points", "data.simulated_points"),
        *("data.warm_up_points", "data.num_frames", "data.frame_interval"),
    ),
    "ingest": (),
    "train": (),  # its file stands for code in tuning/, too
    "evaluate": ("evaluate",),
    "probe": ("seed", "evaluate.device", "evaluate.threads", "train.memory", "probes.{kind}"),
}
ROOT = Path(__file__).parents[1]


def modules() -> dict[str, list[str]]:
    """Return the modules that each kind of cell starts from."""
    found = {stage: [f"chimera.stages.{stage}"] for stage in STAGES}
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
    """Return the parameters that all cells of a kind read, by dotted key; None for an absent one."""
    found = {}
    for key in (pattern.format(kind=kind) for pattern in KEYS.get(kind, KEYS["probe"])):
        section, _, name = key.rpartition(".")
        found[key] = (params[section] if section else params).get(name)
    return found


def main() -> None:
    """Run the stage."""
    params = read_params()
    for kind, starts in modules().items():
        digests = {name: sha256(path) for name, path in files_of(starts).items()}
        content = digests | parameters_of(kind, params)
        write_yaml(Path("metrics/gates/sources") / f"{kind}.yaml", content)


if __name__ == "__main__":
    guarded(main)
