"""A small finished study in a folder: our own parameters, metrics made up for the tests."""

import html
import math
import re
import shutil
from contextlib import chdir
from pathlib import Path

import numpy as np
import yaml
from safetensors.numpy import save_file

from chimera.figures.style import where
from chimera.files.artifacts import write_csv, write_json, write_yaml
from chimera.report.document import templates
from chimera.stages import aggregate
from chimera.study.axes import axis_name
from figures import tables

ROOT = Path(__file__).parents[2]
CONTRASTS = ("ood_nrmse", "ind_nrmse", "ind_valid_time", "gap")
PARITY = {
    "tolerance": 0.05,
    "unet": {"params": 1000, "macs": 50_000},
    "fractal_unet": {"params": 1020, "macs": 49_000, "params_gap": 0.02, "macs_gap": -0.02},
}
MOMENTS = {"mean": 1.0, "std": 2.0}
VERIFY = {"files": 9, "exact": 9, "equivalent": 0, "mismatched": 0, "missing": 0, "unfrozen": 0}


def cells(macro, *values):
    """Return the rows of text of a table of templates/tables.html."""
    module = templates().get_template("tables.html").module
    rows = re.findall("<tr>(.*?)</tr>", str(getattr(module, macro)(*values)), re.DOTALL)
    found = [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [tuple(html.unescape(cell) for cell in row) for row in found]


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
        "p_equivalence": 0.07,
        "e_value": 1.5,
        "cs_low": "unbounded" if n < 4 else estimate - 2 * half,
        "cs_high": "unbounded" if n < 4 else estimate + 2 * half,
        "hedges_gz": 0.4,
        "detectable": half,
        "n": n,
    }


def statistics(
    replicates=3,
    ood=True,
    estimate=0.03,
    half=0.15,
    p=0.49,
    verdict="undecided",
    decided_at=None,
    **other,
):
    """Return metrics/stats.json."""
    names = [name for name in CONTRASTS if ood or name.startswith("ind")]
    rows = {name: contrast(estimate, half, p, replicates) for name in names if replicates > 1}
    rows |= {"verdict": verdict} | ({"decided_at": decided_at} if decided_at else {})
    if replicates > 1 and ood:
        rows |= {"further": 13.4, "decision_probability": 0.88}
        rows["ood_nrmse"]["variance_share"] = 0.4
    about = {"margin": 0.0953, "replicates": replicates, "standing": "pilot", "deviations": 0}
    rho = {"rho": -0.5, "ci_low": -0.9, "ci_high": 0.6, "p": 0.3, "q": 0.4}
    spearman = (
        {"spearman": {"rome.efficacy": rho, "withheld": 1, "n": 6, "models": 2}} if ood else {}
    )
    return {"fractal_unet": rows} | spearman | about | {"confirmatory": 0} | other


def write_study(folder, stats, replicates=3, ood=True):
    """Write what the stages figures and report read, but for what figures draws.

    Runs are written as the stages train, evaluate and probe do; aggregate makes the tables of them.
    """
    for name in ("params.yaml", "PREREGISTRATION.md", "Deviation_Log.md"):
        shutil.copy(ROOT / name, folder / name)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["replicates"] = list(range(replicates))
    params["datasets"] = params["datasets"][: None if ood else 1]
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    datasets = params["datasets"]
    axes = [axis_name(name, datasets) for name in datasets]

    write_csv(folder / "tuning/trials.csv", tables.trials())
    write_csv(folder / "tuning/repeats.csv", tables.repeats())
    write_json(folder / "tuning/metrics.json", {"unet": {"samples": 80_000}})
    write_json(folder / "metrics/stats.json", stats)
    write_json(folder / "metrics/parity.json", PARITY)
    write_json(folder / "metrics/verify.json", VERIFY)
    gates = folder / "metrics/gates"
    write_yaml(gates / f"generate/{datasets[0]}/layout.yaml", {"frame_interval": 0.25})
    for gate in ("training", "evaluation"):
        passed = {"axes": {}, "sha256": {f"data/{gate}.hdf5": "0f" * 32}}
        write_yaml(gates / f"verify/{gate}.yaml", passed)
    rng = np.random.default_rng(0)
    counts = tuple(range(replicates))
    evaluations = tables.evaluations(lambda *_: math.exp(rng.normal()), axes, counts, datasets)
    rows = {"history": tables.training(counts)}
    rows |= {name: table(axes=axes, replicates=counts) for name, table in tables.PROBES.items()}
    for (model, replicate), evaluation in evaluations.items():
        run = folder / f"metrics/runs/{model}/{replicate}"
        checkpoint = folder / f"checkpoints/{model}/{replicate}"
        write_json(run / "evaluate.json", evaluation)
        write_fields(run, datasets, rng)
        for name, table in rows.items():
            of_run = where(table, model=model, replicate=str(replicate))
            found = [without_run(row) for row in of_run]
            if name == "history":
                write_csv(checkpoint / "history.csv", found)
            else:
                probe = {"efficacy": 0.1 + replicate, "edits": 5.0, "rows": found}
                write_json(run / f"{name}.json", probe)
        about = {"bytes": "test class", "torch": "2.0.0", "network": {"a.py": "0f"}}
        write_yaml(checkpoint / "provenance.yaml", about)
    with chdir(folder):
        aggregate.main()


def without_run(row):
    """Return a row as the stage of one run writes it, which does not name the run."""
    return {name: value for name, value in row.items() if name not in ("model", "replicate")}


def write_fields(run, datasets, rng):
    """Write fields, rollouts and truth as the stage evaluate does."""
    fields = {
        f"{name}.{kind}": rng.standard_normal((3, 1, 8, 8)).astype(np.float32)
        for name in datasets
        for kind in ("prediction", "target")
    }
    fields |= {f"{name}.rollouts": noise(rng) for name in datasets}
    save_file(fields, run / "fields.safetensors")
    known = {f"{name}.target": noise(rng) for name in datasets}
    known |= {f"{name}.solver_32": noise(rng) for name in datasets}
    known |= {f"{name}.numbers": np.arange(3) for name in datasets}
    known |= {name: np.full((1, 1, 1), value, np.float32) for name, value in MOMENTS.items()}
    save_file(known, run / "references.safetensors")


def noise(rng):
    """Return rollouts (k, T, C, H, W) of three trajectories."""
    return rng.standard_normal((3, 4, 1, 16, 16)).astype(np.float16)
