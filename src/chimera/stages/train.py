"""Train one model on IND, with one replicate's seed; resume it if it was killed.

Writes checkpoints/<model>/<replicate>/model.safetensors (weights, with the model's settings and the
normalisation) and history.csv.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from argparse_dataclass import ArgumentParser

from chimera.artifacts import read_params, read_yaml, write_csv
from chimera.checkpoints import read_tensors, write_tensors
from chimera.data.splits import Split
from chimera.data.streaming import first_frames, open_windows
from chimera.data.well import channel_moment
from chimera.devices import prepare_device
from chimera.models import as_the_data, build_model
from chimera.progress import Progress
from chimera.scratch import fingerprint, scratch_folder
from chimera.settings import read_settings
from chimera.stages import guarded
from chimera.training import Training, TrainSettings, run


@dataclass
class Options:
    """Matrix coordinates."""

    model: str
    replicate: int


def main() -> None:
    """Run the stage."""
    options = ArgumentParser(Options).parse_args()
    params = read_params()
    settings = read_settings(params["train"], "train", TrainSettings)
    ind = params["datasets"][0]
    device = prepare_device(settings.device, settings.threads)
    entropy, names = (params["seed"], options.replicate), params["data"]["fields"]
    train, valid = (Split(Path("data") / ind / "data" / s, names) for s in ("train", "valid"))
    layout = read_yaml(Path("metrics/gates/generate") / ind / "layout.yaml")
    fields = as_the_data(params["models"][options.model], train.shape[2:], layout["boundary"])
    identity = {"entropy": entropy, "model": fields, "train": asdict(settings)}
    verified = read_yaml(Path("metrics/gates/verify/training.yaml"))

    stats = read_yaml(Path("data") / ind / "stats.yaml")
    moments = {m: [channel_moment(stats, m, name) for name in names] for m in ("mean", "std")}

    # Weights, dropout and drop-path draw from torch's generator, batches from `entropy` itself.
    torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
    network = build_model(fields).to(device)
    memory, length = int(settings.memory * 2**30), 1 + settings.unroll
    kind = (moments, length, settings.batch_size, entropy, device)
    windows = open_windows(train, *kind, 3 * memory // 4)
    training = Training(
        network, windows, first_frames(valid, moments, memory // 4).to(device), settings
    )

    key = f"train-{options.model}-{options.replicate}"
    with scratch_folder(Path(".scratch"), key, fingerprint(identity, verified)) as scratch:
        state = scratch / "state.safetensors"
        if state.exists():
            training.restore(*read_tensors(state))
        with Progress(key, settings.steps, training.completed, settings.batch_size) as progress:
            run(
                training,
                save=lambda t: write_tensors(state, *t.state()),
                report=lambda t: progress.show(t.completed, t.note()),
            )
        folder = Path("checkpoints") / options.model / str(options.replicate)
        # One channel's moments are numbers, several channels' are lists.
        plain = {m: v if len(v) > 1 else v[0] for m, v in moments.items()}
        about = {"model": fields, "normalisation": plain}
        write_tensors(folder / "model.safetensors", training.weights(), about)
        write_csv(folder / "history.csv", [asdict(row) for row in training.history])


if __name__ == "__main__":
    guarded(main)
