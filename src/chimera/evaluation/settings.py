"""Section `evaluate` of params.yaml; conf/config.yaml says what each key is."""

from typing import Literal

from chimera.interface.errors import InputError
from chimera.interface.settings import BatchSize, Cores, Count, Settings, Share

# Of no model, because metrics/ has them for others: baselines, and what stands beside the models.
RESERVED = {"persistence", "linear", "solver_64", "solver_48", "solver_32", "tolerance", "margin"}
RESERVED |= {"spearman", "replicates", "standing", "confirmatory", "deviations", "preregistration"}


class EvaluateSettings(Settings, frozen=True):
    """How a forecaster is evaluated."""

    horizon: Count
    batch_size: BatchSize
    valid_correlation: Share
    field_frame: Count
    device: Literal["auto", "cpu", "cuda"]
    threads: Cores

    def __post_init__(self) -> None:
        """Require the field's frame to be within the rollout."""
        if self.field_frame > self.horizon:
            most = f"at most evaluate.horizon ({self.horizon})"
            raise InputError(f"field_frame is {self.field_frame}, expected {most}")
