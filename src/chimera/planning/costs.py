"""The cost of a study, counted before it runs.

    transform    5 N^2 log2 N FLOPs: one real field of N x N points, half of the customary
                 5 n log2 n of a complex transform of n = N^2 points (Frigo & Johnson 2005)
    solver       16 transforms per step of a trajectory (chimera.solver.advection: 4 per stage)
    training     3 M MACs per window and unrolled frame, where a forward pass takes M: the
                 gradients of the input and of the weights take M each
    evaluation   M MACs per forecast

With measured constants, the time of one unit of work on one core is

    seconds = fixed + per_operation x operations + per_byte x activations,

with activations in the place of the memory traffic of all operations other than convolutions.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from chimera.data.settings import Dataset, GeneratedData
from chimera.data.sources.generation import regime_of
from chimera.interface.settings import Finite, Settings
from chimera.models.forecasting.building import build_model
from chimera.models.parity.counting import count
from chimera.training.loop import VALID_SPACING, Objective
from chimera.training.settings import TrainSettings

FLOAT_BYTES = 4
STORED_FIELDS = 3  # vorticity and two components of velocity, beside the constant forcing


class Law(Settings, frozen=True, kw_only=False):
    """Constants of the time of one unit of work on one core, in seconds."""

    fixed: Finite
    per_operation: Finite
    per_byte: Finite

    def seconds(self, operations: float, activations: float = 0.0) -> float:
        """Return the time of a unit with these operations and bytes of activations."""
        return self.fixed + self.per_operation * operations + self.per_byte * activations


class Laws(Settings, frozen=True, kw_only=False):
    """benchmarks/laws.yaml, as benchmarks/scaling.py measured it on `machine`."""

    machine: str
    solver: Law  # of one step of one trajectory, in FLOPs
    training: Law  # of one sample, forward and backward, in MACs
    evaluation: Law  # of one forecast, in MACs


def solver_step_flops(num_points: int) -> float:
    """Return the FLOPs of the transforms of one step of one trajectory on N x N points."""
    return 16 * 5 * num_points**2 * math.log2(num_points)


def dataset_bytes(dataset: Dataset, num_frames: int, num_points: int) -> int:
    """Return the size of a dataset's fields on disk."""
    fields = sum(dataset.trajectories.values()) * (num_frames * STORED_FIELDS + 1)
    return fields * num_points**2 * FLOAT_BYTES


class NetworkCost(NamedTuple):
    """Parameters of one network, and MACs and saved bytes of one sample's forward pass."""

    params: int
    macs: int
    activation_bytes: int

    def sample_seconds(self, laws: Laws) -> float:
        """Return the time of one sample in training on one core."""
        return laws.training.seconds(3 * self.macs, self.activation_bytes)


def network_cost(fields: Mapping[str, Any], precision: str = "float32") -> NetworkCost:
    """Return the counts of one network of params.yaml at a precision of section `train`."""
    network, shape = build_model(fields), fields["input_shape"]
    return NetworkCost(*count(network, shape), activation_bytes(network, shape, precision))


def activation_bytes(network: nn.Module, input_shape: Sequence[int], precision: str) -> int:
    """Return the bytes saved for the backward pass per sample (C, H, W) of a batch."""
    one, two = (_saved_bytes(network, (B, 2, *input_shape), precision) for B in (1, 2))
    return two - one


def _saved_bytes(network: nn.Module, window_shape: Sequence[int], precision: str) -> int:
    """Return the bytes saved for a backward pass, each storage counted once."""
    saved: dict[int, Tensor] = {}

    def save(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor  # a reference, so no address is reused
        return tensor

    autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")
    with saved_tensors_hooks(save, lambda tensor: tensor), autocast:
        Objective(network.train(), unroll=1)(torch.zeros(window_shape))
    return sum(tensor.untyped_storage().nbytes() for tensor in saved.values())


def training_counts(train: TrainSettings, valid: int, num_frames: int) -> tuple[int, int]:
    """Return the samples, unrolled frames of all windows, and the validation's forecasts of a run.

    The validation split has `valid` trajectories of `num_frames` frames.
    """
    validations = math.ceil(train.steps / train.validate_every)
    forecasts = validations * valid * len(range(0, num_frames - 1, VALID_SPACING))
    return train.steps * train.batch_size * train.unroll, forecasts


class Part(NamedTuple):
    """One line of the plan: a stage and model, its number of trajectories or runs, and their cost.

    Operations are the FLOPs of `generate` and the MACs of the others; bytes are those on disk.
    """

    name: str
    number: int
    operations: float
    core_seconds: float
    bytes: int


def generation_part(data: GeneratedData, names: Sequence[str], laws: Laws) -> Part:
    """Return the cost of the simulation of all datasets."""
    datasets = [data.datasets[name] for name in names]
    trajectories, flops, seconds = 0, 0.0, 0.0
    for dataset in datasets:
        number, regime = sum(dataset.trajectories.values()), regime_of(dataset, data)
        trajectories += number
        parts = [(part.num_points, part.num_steps) for part in regime.warm_up_parts]
        frames = (regime.simulated_points, (regime.num_frames - 1) * regime.steps_per_frame)
        for points, steps in [*parts, frames]:
            step = solver_step_flops(points)
            flops += number * steps * step
            seconds += number * steps * laws.solver.seconds(step)
    stored = sum(dataset_bytes(dataset, data.num_frames, data.num_points) for dataset in datasets)
    return Part("generate", trajectories, flops, seconds, stored)


def run_parts(
    name: str,
    network: NetworkCost,
    replicates: int,
    train: TrainSettings,
    horizon: int,
    data: GeneratedData,
    names: Sequence[str],
    laws: Laws,
) -> tuple[Part, Part]:
    """Return the cost of training and of evaluating all replicates, on datasets with IND first."""
    datasets = [data.datasets[n] for n in names]
    targets = data.num_frames - data.past_frames  # of a trajectory
    counts = training_counts(train, datasets[0].trajectories["valid"], targets + 1)
    samples, validation = (replicates * number for number in counts)
    trajectories = replicates * sum(dataset.trajectories["test"] for dataset in datasets)
    forecasts = trajectories * (targets + horizon)  # one step each, and one rollout
    once = laws.evaluation.seconds(network.macs, network.activation_bytes)
    training = samples * network.sample_seconds(laws) + validation * once
    macs = (3 * samples + validation) * network.macs
    weights = replicates * network.params * FLOAT_BYTES
    fields = 2 * trajectories * data.num_points**2 * FLOAT_BYTES  # a prediction and its target
    return (
        Part(f"train {name}", replicates, macs, training, weights),
        Part(f"evaluate {name}", replicates, forecasts * network.macs, forecasts * once, fields),
    )
