"""Collect the evaluations and probes of every model and replicate.

Writes metrics/errors.csv (errors by trajectory) and metrics/statistics.csv (probe statistics by
run); metrics/summary.json and metrics/probes.json (means over replicates); metrics/provenance.yaml
(every class of bytes that trained); metrics/tables/ (all tables in full), plots/tables/ (small
tables for git) and plots/table_errors.tex.

Loops over the lists in params.yaml: results on disk that are no longer of the study stay out.
"""

from pathlib import Path
from typing import Any

from chimera.files.artifacts import (
    read_csv,
    read_params,
    whole_folder,
    write_csv,
    write_json,
    write_text,
    write_yaml,
)
from chimera.governance.preregistration import read_preregistration
from chimera.interface.errors import InputError, guarded
from chimera.interface.settings import Finite
from chimera.study.aggregation import read_statistics, summarise, summarise_probes
from chimera.study.error_table import Evaluation, error_rows, frame_rows, read_errors
from chimera.study.results import read_numbers, read_result
from chimera.study.tables import BY_RUN, DIGESTS, digest, latex_errors

MEASURED: Any = {"rows": list[dict[str, str | Finite]], ...: Finite}  # of the stage `probe`


def main() -> None:
    """Run the stage."""
    params = read_params()
    cells = [(m, r) for m in params["model_names"] for r in params["replicates"]]
    folders = {cell: Path("metrics/runs", *map(str, cell)) for cell in cells}
    runs = {c: read_result(f / "evaluate.json", Evaluation) for c, f in folders.items()}
    errors, datasets = Path("metrics/errors.csv"), params["datasets"]
    write_csv(errors, error_rows(runs, datasets))
    summary = summarise(read_errors(read_csv(errors)), read_preregistration().weights)
    write_json(Path("metrics/summary.json"), summary, digits=6)
    write_text(Path("plots/table_errors.tex"), latex_errors(summary, params["model_names"]))
    made = {cell: Path("checkpoints", *map(str, cell)) for cell in cells}
    classes = {read_result(f / "provenance.yaml", {"bytes": str})["bytes"] for f in made.values()}
    write_yaml(Path("metrics/provenance.yaml"), {"bytes": ", ".join(sorted(classes))})
    probes = params["probe_names"]
    found = {(c, p): read_result(folders[c] / f"{p}.json", MEASURED) for c in cells for p in probes}
    tables = {p: {c: found[c, p]["rows"] for c in cells} for p in probes}
    tables["training"] = {c: read_csv(f / "history.csv") for c, f in made.items()}
    statistics = [
        {"model": model, "replicate": r, "probe": probe, "statistic": name, "value": float(value)}
        for ((model, r), probe), of in found.items()
        for name, value in of.items()
        if name != "rows"
    ]
    write_csv(table := Path("metrics/statistics.csv"), statistics)
    # As the table has them, so that what follows can be computed again from it.
    means = summarise_probes(read_statistics(read_csv(table), params))
    write_json(Path("metrics/probes.json"), means, digits=6)
    with whole_folder(Path("metrics/tables")) as full, whole_folder(Path("plots/tables")) as small:
        write_csv(full / "rollout.csv", frame_rows(runs, datasets))
        for name, of in tables.items():
            rows = [{"model": m, "replicate": r} | row for m, r in cells for row in of[m, r]]
            if any(row.keys() != rows[0].keys() for row in rows):
                raise InputError(f"{name}.json: rows differ in their columns, expected one list")
            write_csv(full / f"{name}.csv", rows)
        for name, kept in DIGESTS.items():
            path = full / f"{name}.csv"
            rows = read_numbers(path, kept.values, blanks=True) if path.exists() else []
            write_csv(small / f"{name}.csv", digest(rows, kept), digits=4)
        write_csv(small / "errors.csv", digest(read_csv(errors), BY_RUN), digits=4)


if __name__ == "__main__":
    guarded(main)
