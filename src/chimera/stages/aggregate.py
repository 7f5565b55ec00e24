"""Collate the evaluations of every model and replicate into metrics/summary.json and plots/*.csv.

Loops over the lists in params.yaml, never over what lies on disk: results of a model or replicate
that is no longer in the study stay out.
"""

from pathlib import Path

from chimera.artifacts import read_csv, read_json, read_params, write_csv, write_json
from chimera.collation import error_rows, rollout_rows, summarise
from chimera.stages import guarded


def aggregate() -> None:
    """Run the stage."""
    params = read_params()
    models, replicates = params["model_names"], params["replicates"]
    datasets = params["datasets"]
    cells = [(model, replicate) for model in models for replicate in replicates]
    runs = {
        (model, replicate): read_json(Path(f"metrics/runs/{model}/{replicate}/evaluate.json"))
        for model, replicate in cells
    }
    write_json(Path("metrics/summary.json"), summarise(runs, datasets))
    write_csv(Path("plots/errors.csv"), error_rows(runs, datasets))
    write_csv(Path("plots/rollout.csv"), rollout_rows(runs, datasets))
    write_csv(
        Path("plots/training.csv"),
        [
            {"model": model, "replicate": replicate} | row
            for model, replicate in cells
            for row in read_csv(Path(f"checkpoints/{model}/{replicate}/history.csv"))
        ],
    )


if __name__ == "__main__":
    guarded(aggregate)
