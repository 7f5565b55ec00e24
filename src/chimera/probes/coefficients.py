"""Fourier coefficients of square periodic fields, and what is asked of the fields first.

    f_hat(m) = 1/N^2 sum_x f(x) exp(-2 pi i m.x / N)

N x N space.
"""

import torch
from torch import Tensor

from chimera.field_metrics import Field
from chimera.interface.errors import InapplicableError, InputError


def coefficients(field: Field, name: str) -> Tensor:
    """Return the Fourier coefficients of a square, finite field, in fft2's order, forward norm.

    Args:
        field: Array or tensor (..., N, N).
        name: What an error message calls it.

    Raises:
        InputError: If the field is not square or not finite.

    Example:
        >>> coefficients(3 * torch.ones(2, 2), "field").real.tolist()
        [[3.0, 0.0], [0.0, 0.0]]
    """
    tensor = torch.as_tensor(field)
    if tensor.dim() < 2 or tensor.shape[-1] != tensor.shape[-2]:
        raise InapplicableError(
            f"{name} has shape {tuple(tensor.shape)}, expected a square (..., N, N)"
        )
    if not torch.isfinite(tensor).all():
        raise InputError(f"{name} holds NaN or infinite values, expected finite ones")
    return torch.fft.fft2(tensor, norm="forward")


def wavenumber(num_points: int, field_hat: Tensor) -> Tensor:
    """Return |m| of every mode, (N, N) in fft2's order, on the device of the coefficients.

    >>> wavenumber(4, torch.zeros(4, 4))[0]
    tensor([0., 1., 2., 1.])
    """
    kind = {"dtype": field_hat.real.dtype, "device": field_hat.device}
    m = torch.fft.fftfreq(num_points, 1 / num_points, **kind)
    return (m[:, None].square() + m[None, :].square()).sqrt()


def require_equal_shapes(a: Field, b: Field) -> None:
    """Refuse two fields of different shapes.

    >>> require_equal_shapes(torch.zeros(2), torch.zeros(3))
    Traceback (most recent call last):
    chimera.interface.errors.InputError: fields have shapes (2,) and (3,), expected one
    """
    if a.shape != b.shape:
        raise InputError(f"fields have shapes {tuple(a.shape)} and {tuple(b.shape)}, expected one")


def like(result: Tensor, field: Field) -> Field:
    """Return the result as a tensor where the field is one, as an array where it is one.

    >>> like(torch.ones(2), torch.zeros(2).numpy())
    array([1., 1.], dtype=float32)
    """
    return result if isinstance(field, Tensor) else result.numpy()
