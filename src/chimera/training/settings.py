"""Section `train` of params.yaml; conf/config.yaml says what each key is."""

from typing import Annotated, Literal

from msgspec import Meta

from chimera.interface.errors import InputError
from chimera.interface.settings import (
    BatchSize,
    Cores,
    Count,
    Index,
    Positive,
    Probability,
    Settings,
)


class TrainSettings(Settings, frozen=True):
    """How a network is trained."""

    steps: Index
    batch_size: BatchSize
    unroll: Count
    lr: Annotated[float, Meta(gt=0, le=1e6)]
    weight_decay: Annotated[float, Meta(ge=0, le=1e6)]
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

    def __post_init__(self) -> None:
        """Check that the processes can divide a batch evenly."""
        if self.batch_size % self.devices:
            raise InputError(
                f"batch_size is {self.batch_size}, expected a multiple of train.devices "
                f"({self.devices}): every process takes the same share of a batch"
            )
