"""Gate: files are as written, frozen files match their manifest, and splits share no target.

Writes metrics/verify.json whatever the verdict. If the gate is passed, it also writes
metrics/gates/verify/training.yaml and evaluation.yaml: the axes (dataset and layout of each) and
the hashes of the files that both may read. `--hash-missing` adds missing hashes to the manifests.
"""

from pathlib import Path

from tqdm import tqdm

from chimera.data import verification
from chimera.data.layout.leakage import read_frames, require_disjoint
from chimera.files.artifacts import read_params, read_yaml, write_json, write_yaml
from chimera.interface.errors import guarded
from chimera.stages import read_flag
from chimera.study.axes import datasets_by_axis


def main() -> None:
    """Run the gate, or the action of an option."""
    fills, params = read_flag("hash_missing", "fill in manifests; no gate"), read_params()
    datasets, data = params["datasets"], params["data"]
    manifests = Path(data["manifests"])
    if fills:
        print(verification.hash_missing(datasets, manifests) or "nothing is missing")  # noqa: T201
        return
    total = verification.stored_bytes(datasets)
    with tqdm(total=total, desc="verify", unit="B", unit_scale=True, disable=None) as bar:
        verdicts = verification.verify(datasets, manifests, bar.update)
    write_json(Path("metrics/verify.json"), verification.counts(verdicts))
    verification.require_verified(verdicts)
    made, passed = Path("metrics/gates/generate"), Path("metrics/gates/verify")
    frames = {d: read_frames(made / d / "frames.npz") for d in datasets}
    require_disjoint({f"data/{d}/data/{s}": f for d in datasets for s, f in frames[d].items()})
    verification.require_inputs(datasets, data["fields"], data["conditioning"])
    layouts = {d: read_yaml(made / d / "layout.yaml") for d in datasets}
    by_axis = datasets_by_axis(datasets)
    axes = {axis: {"dataset": d, "layout": layouts[d]} for axis, d in by_axis.items()}
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
