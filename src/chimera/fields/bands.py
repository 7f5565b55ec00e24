"""Products and errors of fields by band of wavenumbers: our own, and those of two benchmarks.

    f_hat(m) = 1/N^2 sum_x f(x) exp(-2 pi i m.x / N)

With e_hat the coefficients of prediction - target, The Well sums |e_hat|^2 over three log-spaced
bins (Ohana et al. 2024, `binned_spectral_mse`), and PDEBench averages its root over integer shells
of a quarter of the plane (Takamoto et al. 2022, `metric_func`).

Fields are arrays or tensors (..., N, N), finite and of equal shapes. B batch.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor

from chimera.fields.fourier import BAND_EDGES, band_sums, wavenumber
from chimera.fields.nrmse import Field, as_tensors, like_field
from chimera.interface.errors import InapplicableError, InputError

PDEBENCH_EDGES = (0, 4, 12)  # PDEBench's bands of integer shells: 0-3, 4-11, 12 and above


def coefficients(field: Field, name: str) -> Tensor:
    """Return the coefficients in fft2's order of a square, finite field; errors call it `name`."""
    (tensor,) = as_tensors(field)
    if tensor.shape[-1] != tensor.shape[-2]:
        raise InapplicableError(f"{name} has shape {tuple(tensor.shape)}, expected (..., N, N)")
    if not torch.isfinite(tensor).all():
        raise InputError(f"{name} holds NaN or infinite values, expected finite ones")
    return torch.fft.fft2(tensor, norm="forward")


def band_products(a: Field, b: Field) -> Field:
    """Return mean(a_band b_band) of two fields in the low, mid and high band, (..., 3).

    By Parseval's theorem it is sum Re(conj(a_hat) b_hat) over the band, and the three add up to
    mean(a b). The bands are those of `chimera.fields.metrics.band_rmse`.
    """
    first, second = as_tensors(a, b)
    a_hat = coefficients(first, "a")
    density = (a_hat.conj() * coefficients(second, "b")).real
    fraction = wavenumber(a_hat) / (density.shape[-1] / 2)
    return like_field(band_sums(density, fraction, BAND_EDGES), a)


def well_spectral_mse(prediction: Field, target: Field) -> Field:
    """Return The Well's binned spectral MSE: the mean squared error in three bins, (..., 3).

    The edges are 0 and the last three of four log-spaced ones from 2 pi / N to sqrt(2) pi + 1e-6,
    in radians per cell (Ohana et al. 2024, `binned_spectral_mse`); the three add up to the MSE.
    """
    error_hat = _error_coefficients(prediction, target)
    N = error_hat.shape[-1]
    # In float32, as in The Well: at N = 32 and 256 modes are on an edge, and rounding decides.
    first, last = math.log10(2 * math.pi / N), math.log10(math.pi * 2**0.5 + 1e-6)
    edges: Tensor = torch.logspace(first, last, 4)
    m = 2 * math.pi * torch.fft.fftfreq(N, device=error_hat.device)
    radians = (m[:, None].square() + m[None, :].square()).sqrt()
    bins = band_sums(error_hat.abs().square(), radians, (0.0, *edges[1:].tolist()))
    return like_field(bins, prediction)


def pdebench_frmse(prediction: Field, target: Field, full_plane: bool = False) -> Field:
    """Return PDEBench's fRMSE: the error in shells 0-3, 4-11 and 12 and above, (3,) or (..., 3).

        s(k)^2 = mean_B sum_{floor|m| = k} |e_hat(m)|^2,    fRMSE = mean s(k) over a band's k

    for k < N / 2 (Takamoto et al. 2022), of fields (N, N) or (B, ..., N, N), N > 24. PDEBench keeps
    only the quadrant 0 <= m_x, m_y < N / 2, in which an error along (1, -1) does not count; with
    `full_plane` all modes of a shell count.
    """
    error_hat = _error_coefficients(prediction, target)
    N, last_edge = error_hat.shape[-1], PDEBENCH_EDGES[-1]
    if last_edge >= N // 2:
        raise InputError(f"fields have {N} x {N} cells, expected more than {2 * last_edge}")
    power: Tensor = error_hat.abs().square()
    shell = wavenumber(error_hat).floor().long()
    kept = shell < N // 2
    if not full_plane:
        kept[N // 2 :] = kept[:, N // 2 :] = False
    sums = power.new_zeros((*power.shape[:-2], N // 2))
    sums.index_add_(-1, shell[kept], power[..., kept])
    root = (sums.mean(dim=0) if sums.dim() > 1 else sums).sqrt()
    bands = [root[..., a:b].mean(dim=-1) for a, b in pairwise((*PDEBENCH_EDGES, N // 2))]
    return like_field(torch.stack(bands, dim=-1), prediction)


def _error_coefficients(prediction: Field, target: Field) -> Tensor:
    p, t = as_tensors(prediction, target)
    return coefficients(p - t, "prediction - target")
