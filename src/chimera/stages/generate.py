"""Simulate one dataset; chimera.data.sources.dataset describes the outputs."""

from chimera.data.settings import GeneratedData, read_data_of
from chimera.data.sources.dataset import write_dataset
from chimera.data.sources.simulation import simulate_dataset
from chimera.files.artifacts import read_params
from chimera.interface.errors import InputError, guarded
from chimera.interface.versions import report_differing_versions
from chimera.stages import read_keys


def main() -> None:
    """Run the stage."""
    name = read_keys(dataset=str).dataset
    data = read_data_of(read_params()["data"], GeneratedData)
    if name not in data.datasets:
        raise InputError(f"--dataset is {name!r}, expected one of {', '.join(data.datasets)}")
    report_differing_versions(name)
    write_dataset(name, "generated", lambda folder: simulate_dataset(name, data, folder))


if __name__ == "__main__":
    guarded(main)
