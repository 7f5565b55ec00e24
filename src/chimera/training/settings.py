"""Section `train` of params.yaml; conf/config.yaml says what each key is."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta
from msgspec.structs import replace

from chimera.interface.errors import InputError
from chimera.interface.settings import (
    BatchSize,
    Cores,
    Count,
    Index,
    Positive,
    Probability,
    Settings,
    read_settings,
)

Rate = Annotated[float, Meta(gt=0, le=1e6)]
Decay = Annotated[float, Meta(ge=0, le=1e6)]


class TrainSettings(Settings, frozen=True):
    """How a network is trained."""

    steps: Index
    batch_size: BatchSize
    unroll: Count
    lr: Rate
    weight_decay: Decay
    schedule: Literal["one_cycle", "cosine", "constant"]
    warmup: Probability
    gradient_clip: Positive
    ema_decay: Probability
    validate_every: Count
    log_every: Count
    save_every: Count
    device: Literal["auto", "cpu", "cuda"]
    devices: Cores
    threads: Cores
    precision: Literal["float32", "tf32", "bfloat16"]
    deterministic: bool
    compile: bool
    memory: Annotated[float, Meta(ge=0, le=1e6)] = 0.75
    loss: Literal["mse", "mae", "relative_l2"] = "mse"
    input_noise: Annotated[float, Meta(ge=0, le=1e6)] = 0.0
    keep: Literal["last", "best"] = "last"
    pushforward: bool = False
    trajectories: Count | None = None  # of the training split; None takes all

    def __post_init__(self) -> None:
        """Require a batch that the processes can share evenly."""
        if self.batch_size % self.devices:
            raise InputError(
                f"batch_size is {self.batch_size}, expected a multiple of train.devices "
                f"({self.devices}): every process takes the same share of a batch"
            )


class Tuned(Settings, frozen=True):
    """What is tuned for each model alone."""

    lr: Rate
    weight_decay: Decay


def train_settings(common: Any, model: Mapping[str, Any], key: str = "model") -> TrainSettings:
    """Return the common section `train` with what that of the section `model` sets in its place.

    A model's `train` holds `lr` and `weight_decay`, or is absent; `key` names `model` in messages.
    """
    settings = read_settings(common, "train", TrainSettings)
    if "train" not in model:
        return settings
    tuned = read_settings(model["train"], f"{key}.train", Tuned)
    return replace(settings, lr=tuned.lr, weight_decay=tuned.weight_decay)
