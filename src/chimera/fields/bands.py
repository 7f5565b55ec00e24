"""Products and errors of fields by band of wavenumbers: ours, and two published benchmarks'.

    f_hat(m) = 1/N^2 sum_x f(x) exp(-2 pi i m.x / N)

With e_hat the Fourier coefficients of prediction - target, forward norm: The Well's sums |e_hat|^2
over three log-spaced bins (Ohana et al. 2024, `binned_spectral_mse`), PDEBench's averages its root
over integer shells of a quarter of the plane (Takamoto et al. 2022, `metric_func`).

B batch, N x N space.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor

from chimera.fields.nrmse import Field, like_field
from chimera.interface.errors import InapplicableError, InputError

BANDS = ("low", "mid", "high")
# Their edges, those of chimera.fields.metrics.band_rmse, as parts of N / 2.
BAND_EDGES = (0.0, 0.25, 0.75, math.inf)

# PDEBench's bands of integer shells: 0-3, 4-11, 12 and above.
PDEBENCH_EDGES = (0, 4, 12)


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


def band_products(a: Field, b: Field) -> Field:
    """Return mean(a_band b_band) of the parts of two fields in the low, mid and high band.

    By Parseval's theorem it is sum Re(conj(a_hat) b_hat) over the band, and the three add up to
    mean(a b). The bands are those of `chimera.fields.metrics.band_rmse`.

    Args:
        a: Array or tensor (..., N, N).
        b: Of the same shape.

    Returns:
        (..., 3).

    Raises:
        InputError: If the shapes differ or a field is not square or not finite.

    Example:
        >>> import numpy as np
        >>> x = 2 * np.pi * np.arange(16) / 16
        >>> wave = np.sin(x)[:, None] + np.sin(4 * x)[None, :]  # |m| = 1 and 4 of 8
        >>> band_products(wave, wave).round(6) + 0.0
        array([0.5, 0.5, 0. ])
    """
    require_equal_shapes(a, b)
    a_hat = coefficients(a, "a")
    density = (a_hat.conj() * coefficients(b, "b")).real
    N = density.shape[-1]
    fraction = wavenumber(N, a_hat) / (N / 2)
    bands = [
        (density * ((fraction >= low) & (fraction < high))).sum(dim=(-2, -1))
        for low, high in pairwise(BAND_EDGES)
    ]
    return like_field(torch.stack(bands, dim=-1), a)


def spectral_error(prediction: Field, target: Field) -> Field:
    """Return ||prediction - target|| / ||target|| within the low, mid and high band, (..., 3).

    A band in which the target is zero gives infinity, or NaN where the error is zero too.

    Example:
        >>> import numpy as np
        >>> truth = np.random.default_rng(0).standard_normal((16, 16))
        >>> spectral_error(0.9 * truth, truth).round(6)
        array([0.1, 0.1, 0.1])
    """
    error = prediction - target
    return (band_products(error, error) / band_products(target, target)) ** 0.5


def well_spectral_mse(prediction: Field, target: Field) -> Field:
    """Return The Well's binned spectral MSE: the mean squared error by three bins of wavenumber.

    The edges are 0 and three more of four log-spaced ones from 2 pi / N to sqrt(2) pi + 1e-6, in
    radians per cell (Ohana et al. 2024, `binned_spectral_mse`); the three add up to the MSE.

    Args:
        prediction: Array or tensor (..., N, N).
        target: Of the same shape.

    Returns:
        (..., 3), the square of the field's unit.

    Raises:
        InputError: If the shapes differ or a field is not square or not finite.

    Example:
        >>> import numpy as np
        >>> truth = np.random.default_rng(0).standard_normal((16, 16))
        >>> float(well_spectral_mse(truth + 0.5, truth).sum().round(6))
        0.25
    """
    require_equal_shapes(prediction, target)
    error_hat = coefficients(prediction - target, "prediction - target")
    N = error_hat.shape[-1]
    # In float32, as there: at N = 32 and 256 modes lie on an edge, and rounding decides.
    edges = torch.logspace(math.log10(2 * math.pi / N), math.log10(math.pi * 2**0.5 + 1e-6), 4)
    edges[0] = 0.0
    m = 2 * math.pi * torch.fft.fftfreq(N, device=error_hat.device)
    radians = (m[:, None].square() + m[None, :].square()).sqrt()
    power = error_hat.abs().square()
    bins = [
        (power * ((radians >= low) & (radians < high))).sum(dim=(-2, -1))
        for low, high in pairwise(edges.tolist())
    ]
    return like_field(torch.stack(bins, dim=-1), prediction)


def pdebench_frmse(prediction: Field, target: Field, full_plane: bool = False) -> Field:
    """Return PDEBench's fRMSE: the error in shells 0-3, 4-11 and 12 and above.

        s(k)^2 = mean_B sum_{floor|m| = k} |e_hat(m)|^2,    fRMSE = mean s(k) over a band's k

    for k < N / 2 (Takamoto et al. 2022). PDEBench keeps the quadrant 0 <= m_x, m_y <
    N / 2 alone: an error along (1, -1) costs nothing. `full_plane` keeps all directions.

    Args:
        prediction: Array or tensor (N, N) or (B, ..., N, N), N > 24: the mean over B is taken
            inside the root.
        target: Of the same shape.
        full_plane: Whether to count all modes of a shell.

    Returns:
        (3,) or (..., 3), in the field's unit.

    Raises:
        InputError: If the shapes differ, or a field is not square, not finite or too small.

    Example:
        >>> import numpy as np
        >>> x = 2 * np.pi * np.arange(32) / 32
        >>> truth, wave = np.zeros((32, 32)), np.cos(x[:, None] - x[None, :])
        >>> pdebench_frmse(wave, truth).round(6), pdebench_frmse(wave, truth, True).round(6)
        (array([0., 0., 0.]), array([0.176777, 0.      , 0.      ]))
    """
    require_equal_shapes(prediction, target)
    error_hat = coefficients(prediction - target, "prediction - target")
    N = error_hat.shape[-1]
    last_edge = PDEBENCH_EDGES[-1]
    if last_edge >= N // 2:
        raise InputError(
            f"fields have {N} x {N} cells, expected more than {2 * last_edge} for shells above 11"
        )
    power: Tensor = error_hat.abs().square()
    shell = wavenumber(N, error_hat).floor().long()
    kept = shell < N // 2
    if not full_plane:
        kept[N // 2 :] = False
        kept[:, N // 2 :] = False
    sums = torch.zeros((*power.shape[:-2], N // 2), dtype=power.dtype, device=power.device)
    sums.index_add_(-1, shell[kept], power[..., kept])
    root = (sums.mean(dim=0) if sums.dim() > 1 else sums).sqrt()
    edges = (*PDEBENCH_EDGES, N // 2)
    bands = [root[..., low:high].mean(dim=-1) for low, high in pairwise(edges)]
    return like_field(torch.stack(bands, dim=-1), prediction)
