"""Samples a core-second of the train stage against its own floor and other loops.

For every model of params.yaml (or `--model` alone), side by side in one run on one core, in turns
of a few steps each, so that a noisy machine slows all alike; processor time of all turns together:

    floor        forward, backward and optimiser on one fixed batch, nothing else
    step         what the train stage does between two looks at the valid split: batches, schedule,
                 clipping, reading the loss, saved states
    stage        the same and those looks, whose forecasts are not counted as samples
    memory       torch's DataLoader over the same frames in memory, the floor's step
    files        torch's DataLoader over the same files, read window by window, the floor's step
    loop         the loop that people write: the same DataLoader, with the stage's clipping and its
                 looks at the same valid frames
    well         The Well's own Trainer (the_well.benchmark) over its own loader of the same file,
                 the same network, optimiser and loss; it neither clips nor validates here

`python benchmarks/training.py [--turns 32] [--threads 1] [--model unet]` needs the IND data of
`make repro`. By default a training runs through as many steps as one of the default scale.
"""

import argparse
import itertools
import math
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import h5py
import numpy as np
import torch
from msgspec.structs import replace
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from chimera.data.batches.trajectories import Form, Windows
from chimera.data.layout.splits import Split
from chimera.fields.nrmse import nrmse
from chimera.files.artifacts import read_params, read_yaml, write_yaml
from chimera.files.tensors import write_tensors
from chimera.interface.settings import read_settings
from chimera.models import build_model
from chimera.models.forecasting import stepping
from chimera.training.loop import VALID_SPACING, Training
from chimera.training.settings import TrainSettings

TURN = 20  # steps


class Stepper(nn.Module):
    """The next frame, as every contender predicts it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> Tensor:
        """Return the next frames of (B, C, H, W)."""
        return stepping.step(self.network, frames)


def adamw(network: nn.Module) -> torch.optim.Optimizer:
    """Return the optimiser of all contenders."""
    return torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)


def plain(
    fields: dict,
    next_window: Callable[[], Tensor],
    clip: float = math.inf,
    valid: Iterable[Tensor] = (),
    every: int = 1,
) -> Callable[[], None]:
    """Return a turn of plain steps: forward, backward, optimiser.

    Args:
        fields: Of the model.
        next_window: Returns the next batch of pairs.
        clip: Largest norm of the gradient; infinity does not clip.
        valid: Batches of pairs to forecast; none by default.
        every: Steps between two such looks.
    """
    stepper = Stepper(build_model(fields))
    optimizer, count = adamw(stepper), itertools.count(1)

    def look() -> float:
        stepper.eval()
        with torch.no_grad():
            errors = [nrmse(stepper(pairs[:, 0]), pairs[:, 1]) for pairs in valid]
        stepper.train()
        return float(torch.cat(errors).mean())

    def turn() -> None:
        for step in itertools.islice(count, TURN):
            window = next_window()
            loss = (stepper(window[:, 0]) - window[:, 1]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            if clip < math.inf:
                nn.utils.clip_grad_norm_(stepper.parameters(), clip)
            optimizer.step()
            if valid and step % every == 0:
                look()

    return turn


def stage(
    fields: dict, settings: TrainSettings, windows: Windows, valid: Tensor, folder: Path
) -> Callable[[], None]:
    """Return a turn of the train stage."""
    training = Training(build_model(fields), windows, valid, settings)

    def turn() -> None:
        for _ in range(TURN):
            training.advance()
            if training.completed % settings.save_every == 0:
                write_tensors(folder / "state.safetensors", *training.state())

    return turn


class WindowsInFiles(Dataset):
    """Pairs of frames of a split, each read when it is asked for."""

    def __init__(self, folder: Path, mean: float, std: float, spacing: int = 1) -> None:
        self.fields = [h5py.File(path)["t0_fields/vorticity"] for path in folder.glob("*.hdf5")]
        self.mean, self.std = mean, std
        self.places = [
            (field, n, t)
            for field in self.fields
            for n in range(field.shape[0])
            for t in range(0, field.shape[1] - 1, spacing)
        ]

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.places)

    def __getitem__(self, number: int) -> Tensor:
        """Return a pair of frames (2, C, H, W), normalised."""
        field, n, t = self.places[number]
        return torch.from_numpy((field[n, t : t + 2] - self.mean) / self.std)[:, None]


def endless(loader: DataLoader) -> Iterator:
    """Return the batches of all epochs."""
    return itertools.chain.from_iterable(itertools.repeat(loader))


def vorticity_alone(ind: Path, folder: Path) -> None:
    """Copy the train split without velocity and source term, which no contender learns."""
    for source in sorted((ind / "data/train").glob("*.hdf5")):
        target = folder / "data/train" / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(source) as file, h5py.File(target, "w") as copy:
            copy.attrs.update(file.attrs)
            for name in file:
                file.copy(name, copy)
            for group, field in (("t0_fields", "forcing"), ("t1_fields", "velocity")):
                del copy[group][field]
                kept = np.array([*copy[group]], dtype=h5py.string_dtype())
                copy[group].attrs["field_names"] = kept
    stats = read_yaml(ind / "stats.yaml")
    alone = {moment: {"vorticity": values["vorticity"]} for moment, values in stats.items()}
    write_yaml(folder / "stats.yaml", alone)


def well(fields: dict, batch_size: int, folder: Path) -> Callable[[], None]:
    """Return a turn of The Well's Trainer."""
    # Its module imports wandb, which it calls only where it logs a whole training.
    sys.modules.setdefault("wandb", ModuleType("wandb"))
    from the_well.benchmark.metrics import MSE
    from the_well.benchmark.trainer.training import Trainer
    from the_well.data import WellDataset
    from the_well.data.normalization import ZScoreNormalization

    dataset = WellDataset(
        path=str(folder),
        well_split_name="train",
        use_normalization=True,
        normalization_type=ZScoreNormalization,
    )
    stepper = Stepper(build_model(fields))
    trainer = Trainer(
        checkpoint_folder="",
        artifact_folder="",
        viz_folder="",
        formatter="channels_first_default",
        model=stepper,
        datamodule=SimpleNamespace(train_dataset=dataset),
        optimizer=adamw(stepper),
        loss_fn=MSE(),
        epochs=1,
        checkpoint_frequency=0,
        val_frequency=0,
        rollout_val_frequency=0,
        max_rollout_steps=1,
        short_validation_length=0,
        make_rollout_videos=False,
        num_time_intervals=1,
        device=torch.device("cpu"),
    )
    batches = endless(DataLoader(dataset, batch_size, shuffle=True, drop_last=True))

    class Epoch:
        """The next few batches, as the Trainer's epoch."""

        def __len__(self) -> int:
            return TURN

        def __iter__(self) -> Iterator:
            return itertools.islice(batches, TURN)

    return lambda: trainer.train_one_epoch(0, Epoch())


def main() -> None:
    """Measure and print one line per model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=32, help=f"of {TURN} steps each")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", help="one of params.yaml's models; all by default")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-options.threads :])
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    warnings.filterwarnings("ignore", module="the_well")
    params = read_params()
    settings = read_settings(params["train"], "train", TrainSettings)
    ind, B = Path("data") / params["datasets"][0], settings.batch_size
    splits = []
    for split in ("train", "valid"):
        vorticity = torch.from_numpy(Split(ind / "data" / split, ["vorticity"]).read())
        if split == "train":
            mean, std = float(vorticity.mean()), float(vorticity.std())
        splits.append((vorticity - mean) / std)
    train = splits[0]
    pairs = TensorDataset(train[:, :-1].flatten(0, 1), train[:, 1:].flatten(0, 1))
    windows = Windows(train, Form(2, B, (0, 0)))
    fixed = windows.batch(0)
    in_files = WindowsInFiles(ind / "data/train", mean, std)
    looks = DataLoader(WindowsInFiles(ind / "data/valid", mean, std, VALID_SPACING), B)
    order = np.random.default_rng(0)
    print("samples a core-second, and the ratio to the floor")
    for name in [options.model] if options.model else params["models"]:
        fields = params["models"][name]
        with tempfile.TemporaryDirectory() as folder:
            vorticity_alone(ind, Path(folder))
            loaded = endless(DataLoader(pairs, B, shuffle=True, drop_last=True))
            files, same = (
                endless(DataLoader(in_files, B, shuffle=True, drop_last=True)) for _ in range(2)
            )
            job = (settings.gradient_clip, looks, settings.validate_every)
            unseen = replace(settings, validate_every=10**9, steps=10**9, schedule="constant")
            turns = {
                "floor": plain(fields, lambda: fixed),
                "step": stage(fields, unseen, windows, splits[1], Path(folder)),
                "stage": stage(fields, settings, windows, splits[1], Path(folder)),
                "memory": plain(fields, lambda b=loaded: torch.stack(next(b), dim=1)),
                "files": plain(fields, lambda b=files: next(b)),
                "loop": plain(fields, lambda b=same: next(b), *job),
                "well": well(fields, B, Path(folder)),
            }
            seconds = dict.fromkeys(turns, 0.0)
            for contender, turn in turns.items():
                if contender != "stage":  # which is to run through its own steps alone
                    turn()
            for _ in range(options.turns):
                # In a new order each time: what ran before leaves its frames in the caches.
                for contender in order.permutation(list(turns)):
                    start = time.process_time()
                    turns[contender]()
                    seconds[contender] += time.process_time() - start
        rates = {c: options.turns * TURN * B / spent for c, spent in seconds.items()}
        shown = (f"{c} {rate:.0f} ({rate / rates['floor']:.3f})" for c, rate in rates.items())
        print(f"{name:16}", *shown, flush=True)


if __name__ == "__main__":
    main()
