"""Train one model on IND, with one replicate's seed; resume it if it was killed.

Writes checkpoints/<model>/<replicate>/model.safetensors (weights, with the model's settings and the
normalisation), history.csv and machine.yaml (hardware and software).
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from argparse_dataclass import ArgumentParser

from chimera.artifacts import read_params, read_yaml, write_csv, write_yaml
from chimera.checkpoints import read_tensors, write_tensors
from chimera.data.trajectories import Windows
from chimera.data.well import read_trajectories
from chimera.devices import prepare_device
from chimera.machine import describe
from chimera.models import build_model
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
    fields, ind = params["models"][options.model], Path("data") / params["datasets"][0]
    device = prepare_device(settings.device, settings.threads)
    entropy = (params["seed"], options.replicate)
    identity = {"entropy": entropy, "model": fields, "train": asdict(settings)}
    verified = read_yaml(Path("metrics/gates/verify/training.yaml"))

    stats = read_yaml(ind / "stats.yaml")
    normalisation = {moment: stats[moment]["vorticity"] for moment in ("mean", "std")}

    def frames(split: str) -> torch.Tensor:
        vorticity, _ = read_trajectories(ind / "data" / split)
        normalised = (vorticity - normalisation["mean"]) / normalisation["std"]
        return torch.from_numpy(normalised)[:, :, None].to(device)  # (n, T, C, H, W)

    # Weights, dropout and drop-path draw from torch's generator, batches from `entropy` itself.
    torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
    network = build_model(fields).to(device)
    windows = Windows(frames("train"), 1 + settings.unroll, settings.batch_size, entropy)
    training = Training(network, windows, frames("valid"), settings)

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
        about = {"model": fields, "normalisation": normalisation}
        write_tensors(folder / "model.safetensors", training.weights(), about)
        write_csv(folder / "history.csv", [asdict(row) for row in training.history])
        write_yaml(folder / "machine.yaml", describe(device))


if __name__ == "__main__":
    guarded(main)
