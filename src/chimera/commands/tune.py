"""Search the learning rate and the weight decay of each model, see tuning/params.yaml.

`python -m chimera.commands.tune subject|trial|repeat` are the stages of tuning/dvc.yaml, which
`make tune` runs; `tables` then writes tuning/trials.csv, tuning/repeats.csv and
tuning/metrics.json, whose winners belong into conf/model/.
"""

import argparse
from math import inf
from pathlib import Path
from typing import Any

from chimera.files import artifacts
from chimera.interface.errors import guarded
from chimera.interface.settings import as_plain, read_settings
from chimera.tuning.search import Search, draws
from chimera.tuning.table import ranked, require_bracketed, trials_by_model, winner

HOME = Path("tuning")
TUNED = ("steps", "lr", "weight_decay")  # what a trial sets itself
GATES = "metrics/gates/sources/train.yaml", "metrics/gates/verify/training.yaml"


def write_subject(search: Search, model: str) -> None:
    """Write all that decides a model's trials, so that a winner in params.yaml reruns none."""
    read = artifacts.read_yaml(Path(f"metrics/gates/models/{model}.yaml"))
    content = {key: read[f"data.{key}"] for key in ("fields", "conditioning", "past_frames")} | {
        "model": {k: v for k, v in read[f"models.{model}"].items() if k != "train"},
        "train": {k: v for k, v in read["train"].items() if k not in TUNED},
        "network": artifacts.read_yaml(Path(f"metrics/gates/networks/{model}.yaml")),
        "search": {"seed": search.seed, "steps": search.steps, "trials": draws(search)},
        "gates": {path: artifacts.sha256(Path(path)) for path in GATES},  # code, versions, data
    }
    artifacts.write_yaml(HOME / "subjects" / f"{model}.yaml", content)


def train(model: str, entropy: tuple[int, ...], tuned: dict[str, float], steps: int) -> float:
    """Return the validation nRMSE of the weights that are kept, infinite if it diverges."""
    from chimera.models.forecasting.devices import prepare_device
    from chimera.training.cell import set_up
    from chimera.training.loop import DivergedError
    from chimera.training.resumption import fingerprint, run_resumable, scratch_folder
    from chimera.training.settings import train_settings

    subject = artifacts.read_yaml(HOME / "subjects" / f"{model}.yaml")
    gate = artifacts.read_yaml(Path("metrics/gates/verify/training.yaml"))
    settings = train_settings(subject["train"] | tuned | {"steps": steps, "devices": 1}, {})
    device, ind = prepare_device(settings.device, settings.threads), gate["axes"]["ind"]
    folder, boundary = Path("data") / ind["dataset"], ind["layout"]["boundary"]
    sections = subject["fields"], subject["conditioning"], subject["past_frames"], subject["model"]
    training, about = set_up(folder, boundary, *sections, settings, entropy, device)
    key = "-".join(["tune", model, *map(str, entropy), f"{tuned['lr']:g}", str(steps)])
    identity = {"entropy": entropy, "train": as_plain(settings), **about}
    digest = fingerprint(identity, gate["sha256"] | subject["network"])
    with scratch_folder(Path(".scratch"), key, digest) as scratch:
        try:
            run_resumable(training, key, scratch)
        except DivergedError:
            return inf
    errors = [row.valid_nrmse for row in training.history]
    return min(errors) if settings.keep == "best" else errors[-1]


def run_trial(search: Search, model: str, trial: int) -> None:
    """Train one pair of a learning rate and a weight decay."""
    tuned = draws(search)[trial]
    error = train(model, (search.seed, 0), tuned, search.steps)
    row = {"model": model, "trial": trial, **tuned, "valid_nrmse": f"{error:.6g}"}
    artifacts.write_json(HOME / "trials" / model / f"{trial}.json", row)


def run_repeat(search: Search, model: str, place: int, seed: int, times: int) -> None:
    """Train the trial at a place of the order again from another seed, `times` as long."""
    found = [artifacts.read_json(path) for path in sorted((HOME / "trials" / model).glob("*.json"))]
    best = ranked(found)[place]
    tuned = {name: float(best[name]) for name in ("lr", "weight_decay")}
    steps = times * search.steps
    error = train(model, (search.seed, seed), tuned, steps)
    row = {"model": model, "trial": best["trial"], **tuned, "seed": seed, "steps": steps}
    name = f"longer/{model}/{times}" if times > 1 else f"repeats/{model}/{place}-{seed}"
    artifacts.write_json(HOME / f"{name}.json", row | {"valid_nrmse": f"{error:.6g}"})


def collect(search: Search, folder: str) -> list[dict[str, Any]]:
    """Return the rows of every model, in the order of the search."""
    keys = ("trial", "seed", "steps")
    return [
        row
        for model in search.models
        for row in sorted(
            (artifacts.read_json(path) for path in (HOME / folder / model).glob("*.json")),
            key=lambda row: [row.get(key, 0) for key in keys],
        )
    ]


def write_tables(search: Search) -> None:
    """Write the tables, then require that every winner lies inside the rates that were tried."""
    artifacts.write_csv(HOME / "trials.csv", collect(search, "trials"))
    repeats = collect(search, "repeats") + collect(search, "longer")
    artifacts.write_csv(HOME / "repeats.csv", repeats)
    tables = (artifacts.read_csv(HOME / f"{name}.csv") for name in ("trials", "repeats"))
    found, again = map(trials_by_model, tables)
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
    numbers = {"subject": (), "trial": ("trial",), "repeat": ("place", "seed", "times")}
    for part, names in numbers.items():
        command = parts.add_parser(part, help=f"stage {part} of tuning/dvc.yaml")
        command.add_argument("--model", required=True)
        for name in names:
            command.add_argument(f"--{name}", type=int, required=name != "times", default=1)
    parts.add_parser("tables", help="write the tables of a finished search")
    options = vars(parser.parse_args())
    part = options.pop("part")
    search = read_settings(artifacts.read_yaml(HOME / "params.yaml"), "tuning", Search)
    if part == "subject":
        write_subject(search, **options)
    elif part == "trial":
        run_trial(search, **options)
    elif part == "repeat":
        run_repeat(search, **options)
    else:
        write_tables(search)


if __name__ == "__main__":
    guarded(main)
