"""The one door for data: simulate a dataset, or import it, as data.source says.

Writes data/<dataset>/ with data/<split>/, stats.yaml (of the train split, IND only) and
checksums.yaml, whole or not at all; and for the stages after it, in
metrics/gates/generate/<dataset>/, a copy of the last, the layout of the trajectories and the digest
of every frame. `--export pdebench` writes what is there to exports/pdebench/ instead.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Optional

import numpy as np
from argparse_dataclass import ArgumentParser

from chimera.artifacts import (
    read_params,
    sha256,
    whole_file,
    whole_folder,
    write_arrays,
    write_text,
    write_yaml,
)
from chimera.data.layout.leakage import require_disjoint
from chimera.data.settings import GeneratedData, ImportedData, read_data
from chimera.data.sources.export import export_pdebench
from chimera.data.sources.importing import import_dataset
from chimera.data.sources.simulation import simulate_dataset
from chimera.governance import checksum_entry, format_entries
from chimera.interface.errors import InputError, guarded


@dataclass
class Options:
    """Matrix coordinates, and what to do instead."""

    dataset: Optional[str] = field(default=None)  # noqa: UP045 (what argparse_dataclass reads)
    export: Literal["", "pdebench"] = field(default="")


def make(name: str, data: GeneratedData | ImportedData) -> None:
    """Make one dataset."""
    final, gate = Path("data") / name, Path("metrics/gates/generate") / name
    with whole_folder(final) as folder:
        if isinstance(data, GeneratedData):
            made, origin = simulate_dataset(name, data, folder), "generated"
        else:
            made, origin = import_dataset(name, data, folder, sha256), "imported"
        require_disjoint({f"{final}/data/{split}": f for split, f in made.frames.items()})
        if made.stats is not None:
            write_yaml(folder / "stats.yaml", made.stats)
        entries = [
            checksum_entry(folder / path, origin, fingerprint) | {"path": (final / path).as_posix()}
            for path, fingerprint in made.files
        ]
        listing = "files:\n" + format_entries(entries)
        write_text(folder / "checksums.yaml", listing)
    write_text(gate / "checksums.yaml", listing)
    write_yaml(gate / "layout.yaml", made.layout.plain())
    frames = {split: frames.digests for split, frames in made.frames.items()}
    places = {f"{s}.places": np.array(frames.places) for s, frames in made.frames.items()}
    write_arrays(gate / "frames.npz", frames | places)


def main() -> None:
    """Run the stage."""
    options = ArgumentParser(Options).parse_args()
    params = read_params()
    data = read_data(params["data"])
    if options.export:
        for name in [options.dataset] if options.dataset else params["datasets"]:
            for folder in sorted(Path("data", name, "data").glob("*")):
                path = Path("exports/pdebench") / name / f"{folder.name}.hdf5"
                with whole_file(path) as temporary:
                    export_pdebench(folder, temporary)
        return
    if options.dataset not in data.datasets:
        known = ", ".join(data.datasets)
        raise InputError(f"--dataset is {options.dataset!r}, expected one of {known}")
    make(options.dataset, data)


if __name__ == "__main__":
    guarded(main)
