"""Gate: every file is as it was written, frozen files match their manifest, no frame is in two splits.

Writes metrics/verify.json whatever the verdict. If the gate is passed, it also writes
metrics/gates/verify/training.yaml and evaluation.yaml: the axes (dataset and layout of each) and
the hashes of the files that training and evaluation may read. `--intact` only checks that existing
files are as they were written; `--hash-missing` adds missing hashes to the manifests.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from argparse_dataclass import ArgumentParser
from tqdm import tqdm

from chimera.data.axes import axis_name
from chimera.data.layout.leakage import read_frames, require_disjoint
from chimera.data.verification import (
    check_intact,
    counts,
    hash_missing,
    require_verified,
    stored_bytes,
    verify,
)
from chimera.files.artifacts import read_params, read_yaml, write_json, write_yaml
from chimera.interface.errors import guarded


@dataclass
class Options:
    """Actions in place of the gate."""

    intact: bool = field(default=False)
    hash_missing: bool = field(default=False)


def main() -> None:
    """Run the gate, or the action of an option."""
    options = ArgumentParser(Options).parse_args()
    params = read_params()
    datasets, manifests = params["datasets"], Path(params["data"]["manifests"])
    if options.hash_missing:
        print(hash_missing(datasets, manifests) or "nothing is missing")  # noqa: T201
        return
    total = stored_bytes(datasets)
    silent = not sys.stderr.isatty()
    with tqdm(total=total, desc="verify", unit="B", unit_scale=True, disable=silent) as bar:
        if options.intact:
            found = [verdict for name in datasets for verdict in check_intact(name, bar.update)]
            require_verified(verdict for verdict in found if verdict.verdict == "mismatched")
            return
        verdicts = verify(datasets, manifests, bar.update)
    write_json(Path("metrics/verify.json"), counts(verdicts))
    require_verified(verdicts)
    made, passed = Path("metrics/gates/generate"), Path("metrics/gates/verify")
    require_disjoint(
        {
            f"data/{dataset}/data/{split}": frames
            for dataset in datasets
            for split, frames in read_frames(made / dataset / "frames.npz").items()
        }
    )
    axes = {
        axis_name(name, datasets): {
            "dataset": name,
            "layout": read_yaml(made / name / "layout.yaml"),
        }
        for name in datasets
    }
    hashes = {verdict.path: verdict.sha256 for verdict in verdicts}
    splits = tuple(f"data/{datasets[0]}/data/{split}/" for split in ("train", "valid"))
    training = (*splits, f"data/{datasets[0]}/stats.yaml")
    for name, known, read in (
        ("training", {"ind": axes["ind"]}, [p for p in hashes if p.startswith(training)]),
        ("evaluation", axes, [p for p in hashes if not p.startswith(splits)]),
    ):
        content = {"axes": known, "sha256": {path: hashes[path] for path in read}}
        write_yaml(passed / f"{name}.yaml", content)


if __name__ == "__main__":
    guarded(main)
