"""Train one model on IND, with one replicate's seed; resume it if it was killed.

Writes checkpoints/<model>/<replicate>/model.safetensors (weights, with the model's settings and the
normalisation) and history.csv.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from argparse_dataclass import ArgumentParser
from tqdm import tqdm

from chimera.artifacts import (
    read_checkpoint,
    read_params,
    read_settings,
    read_yaml,
    write_checkpoint,
    write_csv,
)
from chimera.data.trajectories import Windows, load_split
from chimera.devices import prepare
from chimera.models import build_model
from chimera.scratch import fingerprint, scratch_folder
from chimera.stages import guarded
from chimera.training import Training, TrainSettings, run


@dataclass
class Options:
    """Matrix coordinates."""

    model: str
    replicate: int


def train(options: Options) -> None:
    """Run the stage."""
    params = read_params()
    settings = read_settings(params, "train", TrainSettings)
    verified = read_yaml(Path("metrics/runs/verify/training.yaml"))
    ind = Path("data") / params["datasets"][0]
    device = prepare(settings.device, settings.threads)

    entropy = np.random.SeedSequence([params["seed"], options.replicate])
    torch.manual_seed(int(entropy.generate_state(1)[0]))
    network = build_model(params["models"][options.model]).to(device)
