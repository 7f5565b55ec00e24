"""Cost of a study, counted before it runs.

    transform    5 N^2 log2 N FLOPs: one real field of N x N points, half of the customary
                 5 n log2 n of a complex transform of n = N^2 points (Frigo & Johnson 2005)
    solver       16 transforms for each step of a trajectory (chimera.solver.advection: 4 a stage)
    training     3 M MACs for each window and unrolled frame, M being those of a forward pass: the
                 gradients of the input and of the weights each cost one more
    evaluation   M MACs for each forecast

Times follow from these by laws

    seconds = fixed + per_operation x operations + per_byte x activations

with measured constants (`fixed` is the interpreter's time; activations stand for the memory traffic
of all operations but convolutions), or from a stated throughput.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from chimera.data.settings import Dataset, GeneratedData
from chimera.data.sources.generation import Regime
from chimera.interface.settings import Finite, Settings, as_plain
from chimera.models.forecasting.building import build_model
from chimera.models.parity.counting import count
from chimera.training.loop import VALID_SPACING, Objective
from chimera.training.settings import TrainSettings

FLOAT_BYTES = 4
STORED_FIELDS = 3  # vorticity and two components of velocity
_SHARED = ("domain_extent", "simulated_points", "num_points", "num_frames", "frame_interval")


class Law(Settings, frozen=True, kw_only=False):
    """The seconds of one unit of work on one core."""

    fixed: Finite
    per_operation: Finite
    per_byte: Finite

    def seconds(self, operations: float, activations: float = 0.0) -> float:
        """Return the seconds of a unit from its operations and its bytes of activations."""
        return self.fixed + self.per_operation * operations + self.per_byte * activations


class Laws(Settings, frozen=True, kw_only=False):
    """benchmarks/laws.yaml, as benchmarks/scaling.py measured it."""

    machine: str
    solver: Law  # FLOPs of one step of one trajectory
    training: Law  # MACs of one sample in training, forward and backward
    evaluation: Law  # MACs of one forecast


def solver_step_flops(num_points: int) -> float:
    """Return the FLOPs of the transforms of one step of one trajectory on N x N points."""
    return 16 * 5 * num_points**2 * math.log2(num_points)


def dataset_bytes(dataset: Dataset, num_frames: int, num_points: int) -> int:
    """Return the size of a dataset's fields on disk."""
    frames = sum(dataset.trajectories.values()) * num_frames
    return frames * num_points**2 * STORED_FIELDS * FLOAT_BYTES


@dataclass(frozen=True)
class NetworkCost:
    """Counts of one network."""

    params: int  # distinct
    macs: int  # of a forward pass of one sample
    activation_bytes: int  # saved by that pass for the backward pass

    @property
    def weight_bytes(self) -> int:
        """Size of the checkpoint's weights."""
        return self.params * FLOAT_BYTES

    @property
    def optimiser_bytes(self) -> int:
        """Size of weights, gradients, two moments and the average."""
        return 5 * self.weight_bytes

    def sample_seconds(self, laws: Laws) -> float:
        """Return the time of one sample in training on one core."""
        return laws.training.seconds(3 * self.macs, self.activation_bytes)

    def forecast_seconds(self, laws: Laws) -> float:
        """Return the time of one forecast on one core."""
        return laws.evaluation.seconds(self.macs, self.activation_bytes)


def network_cost(fields: Mapping[str, Any], precision: str = "float32") -> NetworkCost:
    """Count one network of params.yaml, trained in a precision of section `train`."""
    network = build_model(fields)
    params, macs = count(network, fields["input_shape"])
    return NetworkCost(params, macs, activation_bytes(network, fields["input_shape"], precision))


def activation_bytes(network: nn.Module, input_shape: Sequence[int], precision: str) -> int:
    """Return the bytes saved for the backward pass for each sample (C, H, W) of a batch."""
    one, two = (_saved_bytes(network, (B, 2, *input_shape), precision) for B in (1, 2))
    return two - one


def _saved_bytes(network: nn.Module, window_shape: Sequence[int], precision: str) -> int:
    """Return the bytes saved for a backward pass, each storage counted once."""
    saved: dict[int, Tensor] = {}

    def save(tensor: Tensor) -> Tensor:
        # Referenced, so that no other tensor gets its address.
        saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    half = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")
    with saved_tensors_hooks(save, lambda tensor: tensor), half:
        Objective(network.train(), unroll=1)(torch.zeros(*window_shape))
    return sum(tensor.untyped_storage().nbytes() for tensor in saved.values())


@dataclass(frozen=True)
class TrainingCost:
    """Operations of one run."""

    samples: int  # unrolled frames of all training windows
    forecasts: int  # of the validation split
    network: NetworkCost

    @property
    def macs(self) -> int:
        """MACs of training and validation."""
        return (3 * self.samples + self.forecasts) * self.network.macs

    def seconds(self, laws: Laws) -> float:
        """Return the time on one core."""
        training = self.samples * self.network.sample_seconds(laws)
        return training + self.forecasts * self.network.forecast_seconds(laws)


def training_cost(
    network: NetworkCost, train: TrainSettings, valid: int, num_frames: int
) -> TrainingCost:
    """Count one run with so many validation trajectories and frames in each trajectory."""
    validations = math.ceil(train.steps / train.validate_every)
    samples = train.steps * train.batch_size * train.unroll
    forecasts = validations * valid * len(range(0, num_frames - 1, VALID_SPACING))
    return TrainingCost(samples, forecasts, network)


@dataclass(frozen=True)
class Part:
    """One line of the plan; all numbers are totals."""

    name: str  # such as `train unet`
    number: int  # trajectories or runs
    operations: float  # FLOPs of `generate`, MACs of the others
    core_seconds: float  # on one core, by the laws
    bytes: int  # on disk


def generation_part(data: GeneratedData, names: Sequence[str], laws: Laws) -> Part:
    """Count the simulation of all datasets."""
    datasets = [data.datasets[name] for name in names]
    shared = {name: getattr(data, name) for name in _SHARED}
    trajectories, steps = 0, 0
    for dataset in datasets:
        own = {k: v for k, v in as_plain(dataset).items() if k != "trajectories"}
        regime = Regime(**own | shared | {"forcing": None})  # forcing costs nothing
        trajectories += sum(dataset.trajectories.values())
        steps += regime.num_steps * sum(dataset.trajectories.values())
    flops = solver_step_flops(data.simulated_points)
    stored = sum(dataset_bytes(dataset, data.num_frames, data.num_points) for dataset in datasets)
    seconds = steps * laws.solver.seconds(flops)
    return Part("generate", trajectories, steps * flops, seconds, stored)


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
    """Count the training and the evaluation of all replicates of one network.

    `name` is the network's, `names` are those of the datasets, IND first.
    """
    datasets = [data.datasets[n] for n in names]
    cost = training_cost(network, train, datasets[0].trajectories["valid"], data.num_frames)
    trajectories = sum(dataset.trajectories["test"] for dataset in datasets)
    forecasts = trajectories * (data.num_frames - 1 + horizon)
    seconds = forecasts * network.forecast_seconds(laws)
    fields = 2 * trajectories * data.num_points**2 * FLOAT_BYTES  # a prediction and its target

    def part(stage: str, macs: int, seconds: float, size: int) -> Part:
        n = replicates
        return Part(f"{stage} {name}", n, n * macs, n * seconds, n * size)

    return (
        part("train", cost.macs, cost.seconds(laws), network.weight_bytes),
        part("evaluate", forecasts * network.macs, seconds, fields),
    )
