"""Check every section of params.yaml, before any other stage runs.

Each section is read into the settings of its code, which refuse missing and unknown keys and values
out of range. Writes metrics/gates/sources/, what decides each of the stages up to the cells.
"""

from typing import Any

from chimera.data.settings import ImportedData, read_data, read_data_of
from chimera.evaluation.settings import RESERVED, EvaluateSettings
from chimera.figures.settings import FigureSettings
from chimera.files.artifacts import read_params
from chimera.interface.errors import InputError, guarded, listed
from chimera.interface.settings import Index, Name, Positive, Settings, read_settings
from chimera.models.forecasting.building import check_model
from chimera.models.parity.admission import require_real
from chimera.models.parity.search_space import declared_space
from chimera.planning.reruns import write_deciding
from chimera.probes.common.registry import probe_settings
from chimera.training.settings import TrainSettings, train_settings


class ParitySettings(Settings, frozen=True):
    """Section `parity`."""

    tolerance: Positive


class Study(Settings, frozen=True):
    """The whole of params.yaml."""

    seed: Index
    replicates: tuple[Index, ...]
    model_names: tuple[Name, ...]
    datasets: tuple[Name, ...]
    probe_names: tuple[Name, ...]
    baseline: Name
    parity: ParitySettings
    train: TrainSettings
    evaluate: EvaluateSettings
    data: dict[str, Any]
    models: dict[Name, Any]
    probes: dict[Name, Any]
    scale: dict[str, Any]
    figures: FigureSettings = FigureSettings()


def main() -> None:
    """Run the stage."""
    params = read_params()
    study, data = read_settings(params, "", Study), read_data(params.get("data"))
    described = [*data.datasets]
    if data.imported:
        files = read_data_of(params["data"], ImportedData)
        files.require_root()
        described += files.datasets
    for name, fields in study.models.items():
        if name in RESERVED:
            raise InputError(f"models has {name!r}, expected a name that no result has already")
        check_model(fields, f"models.{name}")
        train_settings(params["train"], fields, f"models.{name}")
        declared_space(fields, f"models.{name}")
    for name, fields in study.probes.items():
        probe_settings(name, fields)
    for key in ("replicates", "model_names", "datasets", "probe_names"):
        values, least = getattr(study, key), int(key != "probe_names")
        if len(values) < least or len(set(values)) < len(values):
            raise InputError(f"{key} is {list(values)}, expected {least} or more, none twice")
    shown = study.figures
    for key, values, known in (
        ("model_names", study.model_names, study.models),
        ("datasets", study.datasets, described),
        ("baseline", (study.baseline,), study.models),
        ("probe_names", study.probe_names, study.probes),
        ("figures.models", shown.models or (), study.model_names),
        ("figures.field", (shown.field or data.fields[0],), data.fields),
        ("figures.replicate", {shown.replicate} - {None}, study.replicates),
    ):
        for value in values:
            if value not in known:
                raise InputError(f"{key} has {value!r}, expected one of {listed(map(str, known))}")
    if study.train.compile:
        channels = data.past_frames * len(data.fields) + len(data.conditioning)
        fed = (channels, *(side or 1 << 10 for side in data.shape[1:]))
        for name in {study.baseline, *study.model_names}:
            require_real(study.models[name], fed, len(data.fields), f"models.{name}")
    write_deciding(params)


if __name__ == "__main__":
    guarded(main)
