"""A small finished study in a folder: our own parameters, metrics made up for the tests."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import yaml
from safetensors.numpy import save_file

from chimera.data.axes import axis_name
from chimera.study.error_table import METRICS
from figures import tables

ROOT = Path(__file__).parents[2]
CONTRASTS = ("ood_nrmse", "ind_nrmse", "ind_valid_time", "gap")


def contrast(estimate, half, p, n):
    """Return an entry of metrics/stats.json whose t interval is estimate +- half."""
    return {
        "estimate": estimate,
        "ci_low": estimate - half,
        "ci_high": estimate + half,
        "p": p,
        "q": p,
        "sign_flip_p": 0.25,
        "sign_flip_p_smallest": 0.25,
        "hedges_gz": 0.4,
        "n": n,
        "ci_coverage": 0.947,
        "bca_coverage": 0.715,
    }


def statistics(replicates=3, ood=True, estimate=0.03, half=0.15, p=0.49, **other):
    """Return metrics/stats.json."""
    names = [name for name in CONTRASTS if ood or name.startswith("ind")]
    rows = {name: contrast(estimate, half, p, replicates) for name in names if replicates > 1}
    about = {"required_replicates": 10, "replicates": replicates, "deviations": 0}
    rho = {"rho": -0.5, "ci_low": -0.9, "ci_high": 0.6, "p": 0.3, "q": 0.4}
    spearman = {"spearman": {"rome.efficacy": rho, "withheld": 1}} if ood else {}
    return rows | spearman | about | {"confirmatory": 1} | other


def write_json(path, content):
    """Write plain values, with the folder that they lie in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_study(folder, stats, replicates=3, ood=True):
    """Write everything that the stages figures and report read, but for what figures draws."""
    for name in ("params.yaml", "PREREGISTRATION.md", "Deviation_Log.md"):
        shutil.copy(ROOT / name, folder / name)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["replicates"] = list(range(replicates))
    params["datasets"] = params["datasets"][: None if ood else 1]
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    models, datasets = params["model_names"], params["datasets"]
    axes = [axis_name(name, datasets) for name in datasets]

    row = dict.fromkeys(METRICS, 0.1)
    spread = {f"{metric}_sd": 0.01 for metric in METRICS} if replicates > 1 else {}
    means = axes + (["ood"] if ood else [])
    summary = {model: dict.fromkeys(means, row | spread) for model in models}
    summary |= {
        "persistence": {axis: row | {"nrmse": 0.3} for axis in means},
        "linear": dict.fromkeys(means, row),
    }
    write_json(folder / "metrics/summary.json", summary)
    write_json(folder / "metrics/stats.json", stats)
    shutil.copy(ROOT / "metrics/parity.json", folder / "metrics/parity.json")
    shutil.copy(ROOT / "metrics/verify.json", folder / "metrics/verify.json")
    probes = {m: {"rome": {"efficacy": 0.1, "efficacy_sd": 0.02, "edits": 5.0}} for m in models}
    write_json(folder / "metrics/probes.json", probes)
    layout = folder / f"metrics/gates/generate/{datasets[0]}/layout.yaml"
    layout.parent.mkdir(parents=True)
    layout.write_text("frame_interval: 0.25\n")
    gates = folder / "metrics/gates/verify"
    gates.mkdir(parents=True)
    for gate in ("training", "evaluation"):
        (gates / f"{gate}.yaml").write_text(
            f"axes: {{}}\nsha256: {{data/{gate}.hdf5: {'0f' * 32}}}\n"
        )
    for model in models:
        for replicate in range(replicates):
            _write_run(folder, params, model, replicate)
    _write_tables(folder, axes, tuple(range(replicates)))


def _write_run(folder, params, model, replicate):
    rng = np.random.default_rng(replicate + 10 * len(model))
    machine = folder / f"checkpoints/{model}/{replicate}/provenance.yaml"
    machine.parent.mkdir(parents=True)
    machine.write_text("bytes: test class\ntorch: 2.0.0\nnetwork: {a.py: 0f}\n")
    values = {metric: [0.1, 0.2, 0.3] for metric in METRICS}
    by_dataset = {
        name: values | {"nrmse": [math.exp(rng.normal()) for _ in range(3)]}
        for name in params["datasets"]
    }
    run = folder / f"metrics/runs/{model}/{replicate}"
    write_json(run / "evaluate.json", {"model": by_dataset})
    fields = {
        f"{name}.{kind}": rng.standard_normal((3, 1, 8, 8)).astype(np.float32)
        for name in params["datasets"]
        for kind in ("prediction", "target")
    }
    save_file(fields, run / "fields.safetensors")


def _write_tables(folder, axes, replicates):
    (folder / "plots").mkdir()
    runs = [*tables.runs(replicates)]
    baselines = [{"model": name, "replicate": "0"} for name in ("persistence", "linear")]
    errors = [
        run | {"axis": axis, "nrmse": 0.1 + i / 10}
        for run in runs + baselines
        for i, axis in enumerate(axes)
    ]
    written = {
        "errors": errors,
        "rollout": [e | {"frame": f, "correlation": 0.9} for e in errors for f in (1, 2)],
        "training": [
            run | {"step": s, "train_loss": 0.1, "valid_nrmse": 0.2} for run in runs for s in (1, 2)
        ],
        "spectra": tables.spectra(axes, replicates),
        "patching": tables.patching(replicates=replicates),
        "rome": tables.rome(axes, replicates),
        "twonn": tables.twonn(axes, replicates=replicates),
        "ib": tables.ib(axes, replicates=replicates),
    }
    for name, rows in written.items():
        lines = (
            [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)] if rows else []
        )
        (folder / f"plots/{name}.csv").write_text("\n".join(lines) + "\n")
