"""Section `train` of params.yaml; conf/config.yaml says what each key is."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta
from msgspec.structs import replace

from chimera.interface import settings
from chimera.interface.errors import InputError

Rate = Annotated[float, Meta(gt=0, le=1e6)]
Decay = Annotated[float, Meta(ge=0, le=1e6)]


class TrainSettings(settings.Settings, frozen=True):
    """How a network is trained."""

    steps: settings.Index
    batch_size: settings.BatchSize
    unroll: settings.Count
    lr: Rate
    weight_decay: Decay
    schedule: Literal["one_cycle", "cosine", "constant"]
    warmup: settings.Probability
    gradient_clip: settings.Positive
    ema_decay: settings.Probability
    validate_every: settings.Count
    log_every: settings.Count
    save_every: settings.Count
    device: Literal["auto", "cpu", "cuda"]
    devices: settings.Cores
    threads: settings.Cores
    precision: Literal["float32", "tf32", "bfloat16"]
    deterministic: bool
    compile: bool
    memory: Annotated[float, Meta(ge=0, le=1e6)] = 0.75
    loss: Literal["mse", "mae", "relative_l2"] = "mse"
    input_noise: Annotated[float, Meta(ge=0, le=1e6)] = 0.0
    keep: Literal["last", "best"] = "last"
    pushforward: bool = False
    trajectories: settings.Count | None = None  # of the training split; None takes all

    def __post_init__(self) -> None:
        """Require a batch that the processes can share evenly."""
        if self.batch_size % self.devices:
            equal = f"({self.devices}): every process takes the same share of a batch"
            stated = f"batch_size is {self.batch_size}, expected a multiple of train.devices"
            raise InputError(f"{stated} {equal}")


class Tuned(settings.Settings, frozen=True):
    """What is tuned for each model alone."""

    lr: Rate
    weight_decay: Decay


def train_settings(common: Any, model: Mapping[str, Any], key: str = "model") -> TrainSettings:
    """Return the common section `train` with what that of the section `model` sets in its place.

    A model's `train` holds `lr` and `weight_decay`, or is absent; `key` names `model` in messages.
    """
    shared = settings.read_settings(common, "train", TrainSettings)
    if "train" not in model:
        return shared
    tuned = settings.read_settings(model["train"], f"{key}.train", Tuned)
    return replace(shared, lr=tuned.lr, weight_decay=tuned.weight_decay)
