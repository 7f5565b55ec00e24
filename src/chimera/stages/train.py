"""Train one model on IND, with one replicate's seed; resume it if it was killed.

Writes checkpoints/<model>/<replicate>/model.safetensors (weights, with the model's settings and the
normalisation), history.csv and machine.yaml (hardware and software). With `train.devices` above 1
the same command runs once for each device, under torch's elastic launcher.
"""

import sys
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from argparse_dataclass import ArgumentParser

from chimera.artifacts import read_params, read_yaml, write_csv, write_yaml
from chimera.checkpoints import write_tensors
from chimera.data.prefetch import Prefetched
from chimera.data.trajectories import Windows
from chimera.data.well import read_trajectories
from chimera.devices import device_type, has_room, prepare_device
from chimera.distributed import Group, is_launched, launch, process_group
from chimera.machine import describe
from chimera.models import build_model
from chimera.resumption import run_resumable
from chimera.scratch import fingerprint, scratch_folder
from chimera.settings import read_settings
from chimera.stages import guarded
from chimera.training import Training, TrainSettings


@dataclass
class Options:
    """Matrix coordinates."""

    model: str
    replicate: int


def train(options: Options, params: dict[str, Any], settings: TrainSettings, group: Group) -> None:
    """Train in this process, by itself or as one of a group."""
    fields, ind = params["models"][options.model], Path("data") / params["datasets"][0]
    tf32, number, exact = settings.precision == "tf32", group.rank, settings.deterministic
    device = prepare_device(
        settings.device, settings.threads, number=number, tf32=tf32, deterministic=exact
    )
    entropy = (params["seed"], options.replicate)
    identity = {"entropy": entropy, "model": fields, "train": asdict(settings)}
    verified = read_yaml(Path("metrics/gates/verify/training.yaml"))

    stats = read_yaml(ind / "stats.yaml")
    normalisation = {moment: stats[moment]["vorticity"] for moment in ("mean", "std")}

    def frames(split: str) -> torch.Tensor:
        vorticity, _ = read_trajectories(ind / "data" / split)
        normalised = (vorticity - normalisation["mean"]) / normalisation["std"]
        tensor = torch.from_numpy(normalised)[:, :, None]  # (n, T, C, H, W)
        return tensor.to(device) if has_room(tensor.nbytes, device) else tensor

    # Weights, dropout and drop-path draw from torch's generator, batches from `entropy` itself.
    torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
    network, share = build_model(fields).to(device), (group.rank, group.size)
    sequence = frames("train")
    windows = Windows(sequence, 1 + settings.unroll, settings.batch_size, entropy, share)
    batches = windows if sequence.device == device else Prefetched(windows, device)
    training = Training(network, batches, frames("valid"), settings, group)

    key, home = f"train-{options.model}-{options.replicate}", Path(".scratch")
    digest = fingerprint(identity, verified)
    alone = scratch_folder(home, key, digest)  # one process locks it for the others
    with alone if group.rank == 0 else nullcontext(home / key / digest) as scratch:
        run_resumable(training, key, scratch)
        if group.rank == 0:
            folder = Path("checkpoints") / options.model / str(options.replicate)
            about = {"model": fields, "normalisation": normalisation}
            write_tensors(folder / "model.safetensors", training.weights(), about)
            write_csv(folder / "history.csv", [asdict(row) for row in training.history])
            write_yaml(folder / "machine.yaml", describe(device))


def main() -> None:
    """Run the stage."""
    options = ArgumentParser(Options).parse_args()
    params = read_params()
    settings = read_settings(params["train"], "train", TrainSettings)
    kind = device_type(settings.device, settings.devices)
    if settings.devices > 1 and not is_launched():
        launch("chimera.stages.train", sys.argv[1:], settings.devices)
    else:
        with process_group(kind, settings.devices) as group:
            train(options, params, settings, group)


if __name__ == "__main__":
    guarded(main)
