"""Collate the evaluations and probes of every model and replicate.

Writes metrics/summary.json, metrics/probes.json and plots/*.csv.

Loops over the lists in params.yaml, never over what lies on disk: results of a model or replicate
that is no longer in the study stay out.
"""

from pathlib import Path

from chimera.files.artifacts import read_csv, read_json, read_params, write_csv, write_json
from chimera.interface.errors import guarded
from chimera.study.aggregation import error_rows, rollout_rows, summarise, summarise_probes


def aggregate() -> None:
    """Run the stage."""
    params = read_params()
    models, replicates = params["model_names"], params["replicates"]
    datasets = params["datasets"]
    cells = [(model, replicate) for model in models for replicate in replicates]
    folders = {
        (model, replicate): Path(f"metrics/runs/{model}/{replicate}") for model, replicate in cells
    }
    runs = {cell: read_json(folder / "evaluate.json") for cell, folder in folders.items()}
    write_json(Path("metrics/summary.json"), summarise(runs, datasets))
    write_csv(Path("plots/errors.csv"), error_rows(runs, datasets))
    write_csv(Path("plots/rollout.csv"), rollout_rows(runs, datasets))
    tables = {"training": {c: Path("checkpoints", *map(str, c), "history.csv") for c in cells}}
    statistics: dict[tuple[str, int], dict[str, dict[str, float]]] = {cell: {} for cell in cells}
    for probe in params["probes"]:
        measured = folders if probe in params["probe_names"] else {}  # else a table without rows
        tables[probe] = {cell: folder / f"{probe}.csv" for cell, folder in measured.items()}
        for cell, folder in measured.items():
            statistics[cell][probe] = read_json(folder / f"{probe}.json")
    write_json(Path("metrics/probes.json"), summarise_probes(statistics))
    for name, paths in tables.items():
        rows = [
            {"model": model, "replicate": replicate} | row
            for (model, replicate), path in paths.items()
            for row in read_csv(path)
        ]
        write_csv(Path(f"plots/{name}.csv"), rows)


if __name__ == "__main__":
    guarded(aggregate)
