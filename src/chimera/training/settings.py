"""Section `train` of params.yaml; conf/config.yaml says what each key is."""

from typing import Literal

from chimera.interface.errors import InputError
from chimera.interface.settings import Count, Index, NotNegative, Positive, Probability, Settings


class TrainSettings(Settings, frozen=True):
    """How a network is trained."""

    steps: Index
    batch_size: Count
    unroll: Count
    lr: Positive
    weight_decay: NotNegative
    schedule: Literal["one_cycle", "cosine", "constant"]
    warmup: Probability
    gradient_clip: Positive
    ema_decay: Probability
    validate_every: Count
    log_every: Count
    save_every: Count
    device: Literal["auto", "cpu", "cuda"]
    devices: Count
    threads: Count
    precision: Literal["float32", "tf32", "bfloat16"]
    deterministic: bool
    compile: bool
    memory: NotNegative = 0.75

    def __post_init__(self) -> None:
        """Refuse a batch that the processes cannot share evenly."""
        if self.batch_size % self.devices:
            raise InputError(
                f"batch_size is {self.batch_size}, expected a multiple of train.devices "
                f"({self.devices}): every process takes the same share of a batch"
            )
