"""What a study costs, counted before anything runs.

    transform    5 N^2 log2 N FLOPs: one real field of N x N points, half of the customary
                 5 n log2 n of a complex transform of n = N^2 points (Frigo & Johnson 2005)
    solver       16 transforms for each step of a trajectory (chimera.solver.advection: 4 a stage)
    training     3 M MACs for each window and unrolled frame, M being those of a forward pass: the
                 gradients of the input and of the weights each cost one more
    evaluation   M MACs for each forecast

Times follow from these by laws

    seconds = fixed + per_operation x operations + per_byte x activations

with measured constants (what is fixed is the interpreter's, activations stand for the traffic of
all that is no convolution), or from a stated throughput.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
STORED_FIELDS = 3  # vorticity and two components of velocity


class Law(Settings, frozen=True, kw_only=False):
    """The seconds of one unit of work on one core.

    Attributes:
        fixed: What a unit takes however small it is.
        per_operation: Of one operation more.
        per_byte: Of one byte more of activations.
    """

    fixed: Finite
    per_operation: Finite
    per_byte: Finite

    def seconds(self, operations: float, activations: float = 0.0) -> float:
        """Return the seconds of a unit of so many operations and bytes of activations."""
        return self.fixed + self.per_operation * operations + self.per_byte * activations


class Laws(Settings, frozen=True, kw_only=False):
    """benchmarks/laws.yaml, as benchmarks/scaling.py measured it.

    Attributes:
        machine: Where.
        solver: Of the FLOPs of one step of one trajectory.
        training: Of the MACs of one sample in training, forward and backward.
        evaluation: Of the MACs of one forecast.
    """

    machine: str
    solver: Law
    training: Law
    evaluation: Law


def solver_step_flops(num_points: int) -> float:
    """Return the FLOPs of the transforms of one step of one trajectory on N x N points."""
    return 16 * 5 * num_points**2 * math.log2(num_points)


def dataset_bytes(dataset: Dataset, num_frames: int, num_points: int) -> int:
    """Return what a dataset's fields take on disk."""
    frames = sum(dataset.trajectories.values()) * num_frames
    return frames * num_points**2 * STORED_FIELDS * FLOAT_BYTES


@dataclass(frozen=True)
class NetworkCost:
    """Counts of one network.

    Attributes:
        params: Distinct parameters.
        macs: Multiply-accumulates of a forward pass of one sample.
        activation_bytes: What the backward pass keeps of the forward pass of one sample.
    """

    params: int
    macs: int
    activation_bytes: int

    @property
    def weight_bytes(self) -> int:
        """What the checkpoint's weights take."""
        return self.params * FLOAT_BYTES

    @property
    def optimiser_bytes(self) -> int:
        """Weights, gradients, two moments and the average."""
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
    kept = activation_bytes(network, fields["input_shape"], precision)
    return NetworkCost(params, macs, kept)


def activation_bytes(network: nn.Module, input_shape: Sequence[int], precision: str) -> int:
    """Return the bytes that the backward pass keeps for each sample of a batch.

    Args:
        network: To be trained.
        input_shape: Of one sample, (C, H, W).
        precision: As in section `train`.
    """
    one, two = (_kept_bytes(network, (B, *input_shape), precision) for B in (1, 2))
    return two - one


def _kept_bytes(network: nn.Module, shape: Sequence[int], precision: str) -> int:
    """Return the bytes that a backward pass keeps, each storage counted once."""
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        # Kept alive, so that no other takes its place.
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    window = torch.zeros((shape[0], 2, *shape[1:]))
    half = precision == "bfloat16"
    with (
        saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=half),
    ):
        Objective(network.train(), unroll=1)(window)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@dataclass(frozen=True)
class TrainingCost:
    """Operations of one run.

    Attributes:
        samples: Windows and unrolled frames that are trained on.
        forecasts: Forecasts of the valid split.
        network: What they are passed through.
    """

    samples: int
    forecasts: int
    network: NetworkCost

    @property
    def macs(self) -> int:
        """All multiply-accumulates."""
        return (3 * self.samples + self.forecasts) * self.network.macs

    def seconds(self, laws: Laws) -> float:
        """Return the time on one core."""
        training = self.samples * self.network.sample_seconds(laws)
        return training + self.forecasts * self.network.forecast_seconds(laws)


def training_cost(
    network: NetworkCost, train: TrainSettings, valid: int, num_frames: int
) -> TrainingCost:
    """Count one run of training.

    Args:
        network: Its counts.
        train: Section `train`.
        valid: Trajectories of the valid split.
        num_frames: Frames of a trajectory.
    """
    looks = math.ceil(train.steps / train.validate_every)
    return TrainingCost(
        samples=train.steps * train.batch_size * train.unroll,
        forecasts=looks * valid * len(range(0, num_frames - 1, VALID_SPACING)),
        network=network,
    )


@dataclass(frozen=True)
class Part:
    """One line of the plan.

    Attributes:
        name: Such as `train unet`.
        number: Trajectories or runs.
        operations: FLOPs of `generate`, MACs of the others, all together.
        core_seconds: On one core, by the laws.
        bytes: What stays on disk.
    """

    name: str
    number: int
    operations: float
    core_seconds: float
    bytes: int


def generation_part(data: GeneratedData, names: Sequence[str], laws: Laws) -> Part:
    """Count the simulation of all datasets."""
    datasets = [data.datasets[name] for name in names]
    trajectories, steps = 0, 0
    for dataset in datasets:
        trajectories += sum(dataset.trajectories.values())
        steps += regime_of(dataset, data).num_steps * sum(dataset.trajectories.values())
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

    Args:
        name: Of the network.
        network: Its counts.
        replicates: Number of them.
        train: Section `train`.
        horizon: Forecasts of a rollout.
        data: Section `data`.
        names: Of the datasets, IND first.
        laws: Of this machine.
    """
    datasets = [data.datasets[n] for n in names]
    cost = training_cost(network, train, datasets[0].trajectories["valid"], data.num_frames)
    trajectories = sum(dataset.trajectories["test"] for dataset in datasets)
    forecasts = trajectories * (data.num_frames - 1 + horizon)
    seconds = forecasts * network.forecast_seconds(laws)
    fields = 2 * trajectories * data.num_points**2 * FLOAT_BYTES  # a prediction and its target
    return (
        Part(
            f"train {name}",
            replicates,
            replicates * cost.macs,
            replicates * cost.seconds(laws),
            replicates * network.weight_bytes,
        ),
        Part(
            f"evaluate {name}",
            replicates,
            replicates * forecasts * network.macs,
            replicates * seconds,
            replicates * fields,
        ),
    )
