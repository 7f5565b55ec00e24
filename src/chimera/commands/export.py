"""Write datasets in another layout, to exports/<layout>/<dataset>/."""

import argparse
from pathlib import Path

from chimera.data.sources.export import export_pdebench
from chimera.files.artifacts import read_params, whole_file
from chimera.interface.errors import InputError, guarded


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="export", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("layout", choices=["pdebench"], help="layout to write")
    parser.add_argument("datasets", nargs="*", help="datasets of params.yaml, by default all")
    options = parser.parse_args()
    known = read_params()["datasets"]
    for name in options.datasets or known:
        if name not in known:
            raise InputError(f"dataset is {name!r}, expected one of {', '.join(known)}")
        for folder in sorted(Path("data", name, "data").glob("*")):
            path = Path("exports") / options.layout / name / f"{folder.name}.hdf5"
            with whole_file(path) as temporary:
                export_pdebench(folder, temporary)


if __name__ == "__main__":
    guarded(main)
