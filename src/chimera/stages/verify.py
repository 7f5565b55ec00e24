"""Gate: every file of every dataset is intact, and is the frozen data where a manifest says which.

Nor is any frame in two splits.

Writes metrics/verify.json whatever the verdict; when the gate is passed, also the axes and the
hashes of what training may read (metrics/gates/verify/training.yaml) and of what evaluation may
(evaluation.yaml): for each axis its dataset and the layout of its trajectories. `--intact` asks
only whether the files that are there are as they were written, and `--hash-missing` freezes what
is not frozen yet.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from argparse_dataclass import ArgumentParser
from tqdm import tqdm

from chimera.data.axes import axis_name
from chimera.data.layout.leakage import require_disjoint
from chimera.data.verification import (
    counts,
    hash_missing,
    intact,
    read_frames,
    require_verified,
    stored_bytes,
    verify,
)
from chimera.files.artifacts import read_params, read_yaml, write_json, write_yaml
from chimera.interface.errors import guarded


@dataclass
class Options:
    """What to do instead of running the gate."""

    intact: bool = field(default=False)
    hash_missing: bool = field(default=False)


def main() -> None:
    """Run the gate, or what the options say."""
    options = ArgumentParser(Options).parse_args()
    params = read_params()
    datasets, manifests = params["datasets"], Path(params["data"]["manifests"])
    if options.hash_missing:
        print(hash_missing(datasets, manifests) or "nothing is missing")  # noqa: T201
        return
    total = stored_bytes(datasets)
    bar = tqdm(
        total=total, desc="verify", unit="B", unit_scale=True, disable=not sys.stderr.isatty()
    )
    with bar:
        if options.intact:
            found = [verdict for dataset in datasets for verdict in intact(dataset, bar.update)]
            require_verified(verdict for verdict in found if verdict.verdict == "mismatched")
            return
        verdicts = verify(datasets, manifests, bar.update)
    write_json(Path("metrics/verify.json"), counts(verdicts))
    require_verified(verdicts)
    require_disjoint(read_frames(Path("metrics/gates/generate"), datasets))
    ind = f"data/{datasets[0]}/"
    training = tuple(ind + part for part in ("data/train/", "data/valid/", "stats.yaml"))
    hashes = {verdict.path: verdict.sha256 for verdict in verdicts}
    gates = Path("metrics/gates")
    axes = {
        axis_name(dataset, datasets): {"dataset": dataset}
        | {"layout": read_yaml(gates / "generate" / dataset / "layout.yaml")}
        for dataset in datasets
    }
    for name, known, chosen in (
        ("training", {"ind": axes["ind"]}, {p for p in hashes if p.startswith(training)}),
        ("evaluation", axes, {p for p in hashes if not p.startswith(training[:2])}),
    ):
        passed = {"axes": known, "sha256": {p: h for p, h in hashes.items() if p in chosen}}
        write_yaml(gates / "verify" / f"{name}.yaml", passed)


if __name__ == "__main__":
    guarded(main)
