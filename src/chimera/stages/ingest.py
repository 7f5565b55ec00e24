"""Import one dataset from user data; chimera.data.sources.dataset describes the outputs."""

from chimera.data.settings import GeneratedData, ImportedData, read_data, read_data_of
from chimera.data.sources.dataset import layout_of, write_dataset
from chimera.data.sources.importing import import_dataset
from chimera.files.artifacts import read_params
from chimera.interface.errors import InputError, guarded
from chimera.stages import read_keys


def main() -> None:
    """Run the stage."""
    name = read_keys(dataset=str).dataset
    section = read_params()["data"]
    data, study = read_data_of(section, ImportedData), read_data(section)
    if name not in data.datasets:
        raise InputError(f"--dataset is {name!r}, expected one of {', '.join(data.datasets)}")
    flow = layout_of(study) if isinstance(study, GeneratedData) else None
    write_dataset(name, "imported", lambda folder: import_dataset(name, data, folder, flow))


if __name__ == "__main__":
    guarded(main)
