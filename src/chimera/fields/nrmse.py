"""The error that training reads, in its own file: other metrics change without a retraining."""

from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chimera.interface.errors import InputError

Field = TypeVar("Field", Tensor, NDArray[np.floating])


def as_tensors(*fields: Field) -> list[Tensor]:
    """Return fields as tensors (..., H, W) of float32 or float64, whole numbers as float64.

    Fields that differ in shape, have no cells or hold other than real numbers are an InputError.
    """
    # An array is copied: torch takes neither read-only ones nor negative strides.
    tensors = [f if isinstance(f, Tensor) else torch.from_numpy(np.array(f)) for f in fields]
    shape = tensors[0].shape
    odd = any(t.is_complex() or t.dtype == torch.bool or t.shape != shape for t in tensors)
    if odd or len(shape) < 2 or 0 in shape[-2:]:
        found = " and ".join(f"{t.dtype} of shape {tuple(t.shape)}" for t in tensors)
        raise InputError(f"fields are {found}, expected real numbers of one shape (..., H, W)")
    tensors = [t if t.is_floating_point() else t.double() for t in tensors]
    return [t.to(torch.promote_types(t.dtype, torch.float32)) for t in tensors]


def scaled(field: Tensor) -> tuple[Tensor, Tensor]:
    """Return a field (..., H, W) over the power of two at its largest magnitude, and that, (...).

    Squares then neither over- nor underflow, and no bit of a mantissa changes. The power is 1 for a
    field that is zero or not finite.
    """
    top = field.detach().abs().amax(dim=(-2, -1), keepdim=True)
    power = top / (2 * torch.frexp(top).mantissa)
    power = torch.where(power.isfinite() & (power > 0), power, 1.0)
    return field / power, power[..., 0, 0]


def like_field(result: Tensor, field: Field) -> Field:
    """Return a result as a tensor where the field is one, as an array where it is one."""
    return result if isinstance(field, Tensor) else result.numpy()


def nrmse(prediction: Field, target: Field) -> Field:
    """Return ||prediction - target|| / ||target|| over space H, W, (...).

    A target that is zero everywhere gives infinity, or NaN where the prediction is zero too.
    """
    p, t = as_tensors(prediction, target)
    (error, above), (known, below) = scaled(p - t), scaled(t)
    ratio = error.square().sum(dim=(-2, -1)) / known.square().sum(dim=(-2, -1))
    return like_field(ratio.sqrt() * (above / below), target)
