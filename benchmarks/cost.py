"""Milliseconds a frame of every network and baseline, and a training sample: plots/cost.csv.

For every model and baseline of params.yaml, on one core and on a GPU where there is one, in turns
in one process so that a noisy machine slows all alike; processor time, or the wall clock of a GPU,
means over all turns after one that warms up:

    ms_per_frame             a forecast one frame ahead, one trajectory at a time
    ms_per_frame_batch       the same, a frame, of 16 trajectories at a time
    ms_per_training_sample   a window of a training step: batch, forward, backward, clipping,
                             optimiser; without looks at the validation split
    data                     a stored frame of a trajectory, its share of the warm-up included

`solver_<N>` is the project's solver on N^2 points; the finest, on which the data were simulated,
stands for the truth itself. Forecasts are of test frames of every axis in turn (the faster a flow,
the more steps the solver takes), networks have untrained weights. A network is known by its MACs,
the rest by the grids and the interval of the frames. Processors are held to the vector width that
the study holds them to.

`python benchmarks/cost.py [--rounds 3]` needs the data of `make repro`. Times differ from machine
to machine, so the table is a source that people measure anew, and no stage's output.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from msgspec.structs import replace
from torch import Tensor

from chimera.data.batches.trajectories import Form, Windows
from chimera.data.layout.splits import Split
from chimera.data.settings import GeneratedData
from chimera.data.sources.generation import AT_ONCE, regime_of, simulate_trajectories
from chimera.evaluation.forecasters import (
    Stepper,
    classical,
    coarse_solver,
    network_forecaster,
    persistence,
    physics_of,
)
from chimera.files.artifacts import read_params, read_yaml, write_csv
from chimera.interface.errors import guarded
from chimera.interface.settings import read_settings
from chimera.models.forecasting.building import build_model, fit_to_data
from chimera.models.forecasting.checkpoint import Trained
from chimera.models.forecasting.devices import describe, prepare_device
from chimera.models.forecasting.stepping import states
from chimera.models.parity.counting import count
from chimera.planning.break_even import BATCH, COST_FILE, DATA, FRAMES, TIMES
from chimera.training.loop import Training
from chimera.training.settings import TrainSettings, train_settings
from held import hold_this_process

ALONE = 4  # forecasts of one frame in a turn
STEPS = 2  # of training in a turn


class Axis:
    """Test frames of one dataset, and what forecasts them.

    Attributes:
        frames: BATCH states drawn from all trajectories, (BATCH, P C, H, W).
        numbers: Of their trajectories.
        forecasters: By name.
    """

    def __init__(
        self, axis: Mapping[str, Any], params: Mapping[str, Any], networks: Mapping, device: Any
    ) -> None:
        dataset, layout, data = axis["dataset"], axis["layout"], params["data"]
        split = Split(Path("data") / dataset / "data/test", data["fields"], data["conditioning"])
        read = torch.from_numpy(split.read(0, min(len(split), BATCH))).to(device)
        C, drawn = len(data["fields"]), np.random.default_rng(0)
        drawable = states(read[:, :, :C], data["past_frames"], C)
        frame = drawn.integers(drawable.shape[1], size=BATCH)
        self.numbers = torch.arange(BATCH, device=device) % len(read)
        self.frames = drawable[self.numbers, torch.from_numpy(frame).to(device)]
        self.forecasters: dict[str, Stepper] = {
            name: network_forecaster(trained, read[:, 0, C:]) for name, trained in networks.items()
        }
        self.forecasters["persistence"] = persistence
        if layout["source"] == "generated" and data["fields"] == ["vorticity"]:
            scalars = {name: values[: len(read)] for name, values in split.scalars.items()}
            physics = physics_of(scalars, layout["extent"][0], layout["frame_interval"])
            finest = data["simulated_points"]
            self.forecasters |= classical(physics, split.shape[-1])
            self.forecasters[f"solver_{finest}"] = coarse_solver(physics, finest)

    def forecast(self, name: str, batch: int) -> int:
        """Make forecasts of `batch` frames at a time and return the number of frames."""
        number = BATCH if batch == BATCH else ALONE
        for first in range(0, number, batch):
            part = slice(first, first + batch)
            self.forecasters[name](self.frames[part], self.numbers[part])
        return number


def train(training: Training) -> int:
    """Take some steps of a training and return the number of samples."""
    for _ in range(STEPS):
        training.advance()
    return STEPS * training.settings.batch_size


def training_of(
    fields: Mapping, settings: TrainSettings, frames: Tensor, C: int, P: int
) -> Training:
    """Return a training on frames (n, T, C + K, H, W) that never looks at a validation split."""
    endless = replace(settings, steps=10**9, validate_every=10**9, schedule="constant")
    windows = Windows(frames, Form(P + settings.unroll, settings.batch_size, (0,)))
    network = build_model(fields).to(frames.device)
    return Training(network, windows, frames, endless, num_fields=C, past_frames=P)


def generate(data: GeneratedData, dataset: str) -> int:
    """Simulate as many trajectories as a process of stage generate does and return the frames."""
    regime = regime_of(data.datasets[dataset], data)
    simulate_trajectories(regime, (0,), range(AT_ONCE))
    return AT_ONCE * data.num_frames


def measure(params: Mapping[str, Any], device: torch.device, rounds: int) -> list[dict[str, Any]]:
    """Return the rows of the table for one device."""
    data, ind = params["data"], params["datasets"][0]
    axes = list(read_yaml(Path("metrics/gates/verify/evaluation.yaml"))["axes"].values())
    layout = axes[0]["layout"]
    C, K, clock = len(data["fields"]), len(data["conditioning"]), clock_of(device)
    P, shape = data["past_frames"], (C, *layout["grid"])
    models = {
        name: fit_to_data(fields, shape, layout["boundary"], conditioning=K, past_frames=P)
        for name, fields in params["models"].items()
        if name in params["model_names"]
    }
    length = P + 3 + params["train"]["unroll"]
    noise = torch.randn(8, length, C + K, *layout["grid"], device=device)
    mean = torch.zeros(P * C + K, 1, 1, device=device)
    channels = tuple(data["fields"]), tuple(data["conditioning"])
    networks = {
        name: Trained(build_model(fields).to(device).eval(), mean, mean + 1, *channels, P)
        for name, fields in models.items()
    }
    prepared = [Axis(axis, params, networks, device) for axis in axes]
    calls: dict[tuple[str, str], Callable[[Axis], int]] = {}
    for name in prepared[0].forecasters:
        calls[name, "ms_per_frame"] = lambda axis, name=name: axis.forecast(name, 1)
        calls[name, "ms_per_frame_batch"] = lambda axis, name=name: axis.forecast(name, BATCH)
    for name, fields in models.items():
        settings = train_settings(params["train"], params["models"][name], f"models.{name}")
        training = training_of(fields, settings, noise, C, P)
        calls[name, "ms_per_training_sample"] = lambda _, training=training: train(training)
    if data["source"] == "generated" and device.type == "cpu":
        generated = read_settings(data, "data", GeneratedData)
        calls[DATA, "ms_per_frame"] = lambda _: generate(generated, ind)
    spent, done = dict.fromkeys(calls, 0.0), dict.fromkeys(calls, 0)
    for turn in range(-1, rounds * len(prepared)):
        for key, call in calls.items():
            if key[0] == DATA and max(turn, 0) % len(prepared):
                continue  # once a round
            start = clock()
            number = call(prepared[turn % len(prepared)])
            if turn >= 0:
                spent[key] += clock() - start
                done[key] += number
    known = {"device": describe(device)["bytes"]}
    frames = {key: data.get(key, "") for key in FRAMES}
    columns = [f"ms_per_{of}" for of in TIMES]
    rows = []
    for name in dict.fromkeys(name for name, _ in calls):
        of = {"macs": ""} | frames
        if name in models:
            macs = count(build_model(models[name]), models[name]["input_shape"])[1]
            of = {"macs": macs} | dict.fromkeys(FRAMES, "")
        keys = {column: (name, column) for column in columns}
        times = {c: 1e3 * spent[k] / done[k] if k in calls else "" for c, k in keys.items()}
        rows.append(known | {"name": name} | of | times)
    return rows


def clock_of(device: torch.device) -> Callable[[], float]:
    """Return a clock: processor time, and of a GPU the wall clock once all is computed."""
    if device.type == "cpu":
        return time.process_time

    def clock() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return clock


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="turns of each axis")
    options = parser.parse_args()
    hold_this_process()
    params, kinds = read_params(), ["cpu"] + ["cuda"] * torch.cuda.is_available()
    rows = []
    for kind in kinds:
        rows += measure(params, prepare_device(kind, threads=1), options.rounds)
    write_csv(COST_FILE, rows, digits=4)
    print(COST_FILE.read_text(), end="")


if __name__ == "__main__":
    guarded(main)
