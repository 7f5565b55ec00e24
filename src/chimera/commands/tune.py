"""Search the learning rate and the weight decay of each model, see tuning/params.yaml.

`python -m chimera.commands.tune subject|trials|repeats` are the stages of tuning/dvc.yaml, which
`make tune` runs; `tables` then writes tuning/trials.csv, tuning/repeats.csv and
tuning/metrics.json, whose winners belong into conf/model/.
"""

import argparse
import multiprocessing
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from math import inf
from pathlib import Path

from chimera.files import artifacts
from chimera.interface.errors import InputError, guarded
from chimera.interface.settings import read_settings
from chimera.tuning.search import Search, draws
from chimera.tuning.table import Trial, ranked, require_bracketed, trials_by_model, winner

HOME = Path("tuning")
PAIR = ("lr", "weight_decay")
TUNED = ("steps", *PAIR)  # what a trial sets itself
GATES = "metrics/gates/sources/train.yaml", "metrics/gates/verify/training.yaml"


def write_subject(search: Search, model: str) -> None:
    """Write all that decides a model's trials, so that a winner in params.yaml reruns none."""
    read = artifacts.read_yaml(Path(f"metrics/gates/networks/{model}.yaml"))
    content = {key: read[f"data.{key}"] for key in ("fields", "conditioning", "past_frames")} | {
        "model": read[f"models.{model}"],
        "train": {k: v for k, v in read["train"].items() if k not in TUNED},
        "network": read["source"],
        "search": {"seed": search.seed, "steps": search.steps, "trials": draws(search)},
        "gates": {path: artifacts.sha256(Path(path)) for path in GATES},  # code, versions, data
    }
    artifacts.write_yaml(HOME / "subjects" / f"{model}.yaml", content)


def train(search: Search, model: str, home: Path, row: Mapping[str, float]) -> float:
    """Return the validation nRMSE of the weights that are kept, infinite if it diverges.

    The training keeps a folder in `home`, from which it resumes, and locks it: a process may
    survive the one that started it.
    """
    from chimera.models.forecasting.devices import prepare_device
    from chimera.training.cell import set_up
    from chimera.training.loop import DivergedError
    from chimera.training.resumption import run_resumable
    from chimera.training.settings import train_settings

    tuned = {"steps": search.steps} | {name: row[name] for name in TUNED if name in row}
    entropy = search.seed, int(row.get("seed", 0))
    subject = artifacts.read_yaml(HOME / "subjects" / f"{model}.yaml")
    ind = artifacts.read_yaml(Path("metrics/gates/verify/training.yaml"))["axes"]["ind"]
    settings = train_settings(subject["train"] | tuned | {"devices": 1}, {})
    device = prepare_device(settings.device, settings.threads)
    data, layout = Path("data") / ind["dataset"], ind["layout"]
    sections = subject["fields"], subject["conditioning"], subject["past_frames"], subject["model"]
    training, _ = set_up(data, layout, *sections, settings, entropy, device)
    key = "-".join(["tune", model, *(f"{number:.9g}" for number in (*entropy, *tuned.values()))])
    folder = home / key
    folder.mkdir(exist_ok=True)
    with artifacts.locked(folder / "lock"):
        try:
            run_resumable(training, key, folder)
        except DivergedError:
            return inf
    errors = [row.valid_nrmse for row in training.history]
    return min(errors) if settings.keep == "best" else errors[-1]


def train_all(search: Search, model: str, part: str, rows: Sequence[dict[str, float]]) -> None:
    """Train every row's pair, and write the rows with their errors to <part>/<model>.csv.

    Each is trained in a process of its own, as many side by side as each model has of JOBS. What is
    trained stays in .scratch until all are, so that a search that was stopped goes on.
    """
    from chimera.training.resumption import fingerprint, scratch_folder

    subject = artifacts.sha256(HOME / "subjects" / f"{model}.yaml")
    digest = fingerprint({"rows": rows}, {"subject": subject})
    jobs = max(1, int(os.environ.get("JOBS") or 1) // len(search.models))
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), max_tasks_per_child=1)
    with scratch_folder(Path(".scratch"), f"tune-{part}-{model}", digest) as home, pool:
        runs = [pool.submit(train, search, model, home, row) for row in rows]
        try:
            errors = [f"{run.result():.6g}" for run in runs]
        except BrokenProcessPool:
            raise InputError(f"a training of {model} was killed, expected it to finish") from None
        finally:
            pool.shutdown(cancel_futures=True)
        pairs = zip(rows, errors, strict=True)
        table = [{"model": model, **row, "valid_nrmse": error} for row, error in pairs]
        artifacts.write_csv(HOME / part / f"{model}.csv", table)


def run_trials(search: Search, model: str) -> None:
    """Train every pair of a learning rate and a weight decay."""
    rows = [{"trial": trial, **tuned} for trial, tuned in enumerate(draws(search))]
    train_all(search, model, "trials", rows)


def run_repeats(search: Search, model: str) -> None:
    """Train the best trials again from other seeds, and the very best for longer."""
    order, again = ranked(artifacts.read_csv(HOME / "trials" / f"{model}.csv")), search.repeats
    chosen = [(place, seed, 1) for place in again.places for seed in again.seeds]
    rows = [
        {"trial": int(order[place]["trial"])}
        | {name: float(order[place][name]) for name in PAIR}
        | {"seed": seed, "steps": times * search.steps}
        for place, seed, times in [*chosen, (0, again.seeds[0], again.longer)]
    ]
    rows.sort(key=lambda row: [row[key] for key in ("steps", "trial", "seed")])
    train_all(search, model, "repeats", rows)


def collect(search: Search, part: str) -> list[Trial]:
    """Return the rows of every model, in the order of the search."""
    return [r for model in search.models for r in artifacts.read_csv(HOME / part / f"{model}.csv")]


def write_tables(search: Search) -> None:
    """Write the tables, then require that every winner lies inside the rates that were tried."""
    trials = collect(search, "trials")
    repeats = sorted(collect(search, "repeats"), key=lambda row: int(row["steps"]))
    artifacts.write_csv(HOME / "trials.csv", trials)
    artifacts.write_csv(HOME / "repeats.csv", repeats)
    found, again = trials_by_model(trials), trials_by_model(repeats)
    batch, report = artifacts.read_params()["train"]["batch_size"], {}
    for model, rows in found.items():
        steps = len(rows) * search.steps + sum(int(row["steps"]) for row in again.get(model, []))
        report[model] = winner(rows) | {"samples": steps * batch}
    artifacts.write_json(HOME / "metrics.json", report)
    for model, rows in found.items():
        require_bracketed(model, rows)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="tune", description=(__doc__ or "").splitlines()[0])
    parts = parser.add_subparsers(dest="part", required=True)
    stages = {"subject": write_subject, "trials": run_trials, "repeats": run_repeats}
    for part in stages:
        command = parts.add_parser(part, help=f"stage {part} of tuning/dvc.yaml")
        command.add_argument("--model", required=True)
    parts.add_parser("tables", help="write the tables of a finished search")
    options = parser.parse_args()
    search = read_settings(artifacts.read_yaml(HOME / "params.yaml"), "tuning", Search)
    if options.part == "tables":
        write_tables(search)
    else:
        stages[options.part](search, options.model)


if __name__ == "__main__":
    guarded(main)
