"""The error that training reads, in its own file: other metrics change without a retraining."""

from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chimera.interface.errors import InputError

Field = TypeVar("Field", Tensor, NDArray[np.floating])


def as_tensors(*fields: Field) -> list[Tensor]:
    """Return prediction and target as tensors of one shape (..., H, W)."""
    # An array is copied: torch takes neither read-only ones nor negative strides.
    pair = [f if isinstance(f, Tensor) else torch.from_numpy(np.array(f)) for f in fields]
    if pair[0].shape != pair[1].shape or pair[0].dim() < 2:
        raise InputError(
            f"prediction has shape {tuple(pair[0].shape)} and target {tuple(pair[1].shape)}, "
            "expected one shape (..., H, W)"
        )
    return pair


def like_field(result: Tensor, field: Field) -> Field:
    """Return a result as a tensor where the field is one, as an array where it is one."""
    return result if isinstance(field, Tensor) else result.numpy()


def nrmse(prediction: Field, target: Field) -> Field:
    """Return ||prediction - target|| / ||target|| over space H, W, (...).

    A target that is zero everywhere gives infinity, or NaN where the prediction is zero too.
    """
    p, t = as_tensors(prediction, target)
    ratio = (p - t).square().sum(dim=(-2, -1)) / t.square().sum(dim=(-2, -1))
    return like_field(ratio.sqrt(), target)
