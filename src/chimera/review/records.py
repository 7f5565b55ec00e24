"""What a record of a finished study holds, under the paths of the work tree."""

from pathlib import Path

from chimera.interface.errors import InputError

FILES = (
    *("params.yaml", "dvc.lock", "dvc.yaml", "PREREGISTRATION.md", "Deviation_Log.md"),
    "constraints-numerics.txt",
    *(f"metrics/{name}.json" for name in ("summary", "stats", "probes", "verify", "parity")),
    *(f"metrics/{name}.csv" for name in ("errors", "statistics")),
    *(f"metrics/gates/verify/{name}.yaml" for name in ("training", "evaluation")),
    "plots/report.html",
)
FOLDERS = {"data/manifests": "**/*.yaml", "plots/tables": "*.csv", "plots/png": "*.png"}
OF_SOME = ("metrics/headline.json", "tuning/*.csv", "tuning/metrics.json")  # not of every study


def record_files(root: Path) -> list[Path]:
    """Return the files of a record, below its root; InputError if one is missing."""
    files = [root / name for name in FILES]
    for folder, pattern in FOLDERS.items():
        files += sorted((root / folder).glob(pattern)) or [root / folder / pattern]
    for path in files:
        if not path.is_file():
            raise InputError(f"{path} is missing, expected every file of a finished study")
    files += [path for pattern in OF_SOME for path in sorted(root.glob(pattern))]
    return [path.relative_to(root) for path in files]
