"""Simulate one dataset; see chimera.data.sources.dataset for what is written."""

from dataclasses import dataclass

from argparse_dataclass import ArgumentParser

from chimera.data.settings import read_generated
from chimera.data.sources.dataset import write_dataset
from chimera.data.sources.simulation import simulate_dataset
from chimera.files.artifacts import read_params
from chimera.interface.errors import InputError, guarded
from chimera.interface.versions import report_differing_versions


@dataclass
class Options:
    """Matrix coordinates."""

    dataset: str


def main() -> None:
    """Run the stage."""
    name = ArgumentParser(Options).parse_args().dataset
    data = read_generated(read_params()["data"])
    if name not in data.datasets:
        raise InputError(f"--dataset is {name!r}, expected one of {', '.join(data.datasets)}")
    report_differing_versions(name)
    write_dataset(name, "generated", lambda folder: simulate_dataset(name, data, folder))


if __name__ == "__main__":
    guarded(main)
