"""Section `evaluate` of params.yaml; conf/config.yaml says what each key is."""

from typing import Literal

from chimera.interface.errors import InputError
from chimera.interface.settings import BatchSize, Cores, Count, Settings, Share


class EvaluateSettings(Settings, frozen=True):
    """How a forecaster is evaluated."""

    horizon: Count
    batch_size: BatchSize
    valid_correlation: Share
    field_frame: Count
    device: Literal["auto", "cpu", "cuda"]
    threads: Cores

    def __post_init__(self) -> None:
        """Check that the field's frame is in the rollout."""
        if self.field_frame > self.horizon:
            raise InputError(
                f"field_frame is {self.field_frame}, expected at most evaluate.horizon "
                f"({self.horizon})"
            )
