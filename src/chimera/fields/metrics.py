"""Errors of a predicted field.

All functions take arrays or tensors (..., H, W) of equal shape, H, W space and T time, and return
one value for each leading index, so that the caller decides what is averaged.
"""

import torch

from chimera.fields.fourier import BAND_EDGES, band_sums
from chimera.fields.nrmse import Field, as_tensors, like_field, nrmse, scaled

__all__ = ["band_rmse", "correlation", "nrmse", "rmse", "valid_time", "vrmse"]

VRMSE_EPSILON = 1e-7  # The Well's regularisation of the variance


def rmse(prediction: Field, target: Field) -> Field:
    """Return sqrt(mean (prediction - target)^2), (...), in the field's unit."""
    p, t = as_tensors(prediction, target)
    error, scale = scaled(p - t)
    return like_field(error.square().mean(dim=(-2, -1)).sqrt() * scale, target)


def vrmse(prediction: Field, target: Field) -> Field:
    """Return The Well's error sqrt(MSE / (var(target) + 1e-7)), (...), var over n - 1 values.

    Unlike `nrmse` it does not favour fields with a large mean (Ohana et al. 2024, section 4).
    """
    p, t = as_tensors(prediction, target)
    variance = t.var(dim=(-2, -1), correction=1)
    mse = (p - t).square().mean(dim=(-2, -1))
    return like_field((mse / (variance + VRMSE_EPSILON)).sqrt(), target)


def band_rmse(prediction: Field, target: Field) -> tuple[Field, Field, Field]:
    """Return the error in the low, middle and high wavenumbers, each (...).

    With m = (m_x, m_y) the integer wavenumbers and n = min(H, W) / 2 the largest that every
    direction resolves, low is |m| < n / 4, high is |m| >= 3 n / 4 with the corners, and mid is the
    rest. By Parseval's theorem rmse^2 = low^2 + mid^2 + high^2.
    """
    p, t = as_tensors(prediction, target)
    H, W = t.shape[-2:]
    # The mean over space of e^2 is the sum over all wavenumbers of |e_hat|^2 / (H W)^2; the
    # half-plane of rfft2 holds every column but the first and the Nyquist one once for two.
    error, scale = scaled(p - t)
    power = torch.fft.rfft2(error, norm="forward").abs().square()
    weight = power.new_full((W // 2 + 1,), 2.0)
    weight[[0] if W % 2 else [0, -1]] = 1.0
    m_x = torch.fft.fftfreq(H, 1 / H, device=power.device)[:, None]
    m_y = torch.fft.rfftfreq(W, 1 / W, device=power.device)
    fraction = (m_x.square() + m_y.square()).sqrt() / (min(H, W) / 2)
    bands = band_sums(power * weight, fraction, BAND_EDGES).sqrt() * scale[..., None]
    low, mid, high = (like_field(band, target) for band in bands.unbind(-1))
    return low, mid, high


def correlation(prediction: Field, target: Field) -> Field:
    """Return Pearson's correlation over space, moments over n, (...); NaN for constant fields."""
    # The corner is subtracted first so that a constant field is exactly zero.
    p, t = (scaled(f)[0] for f in as_tensors(prediction, target))
    p, t = (f - f[..., :1, :1] for f in (p, t))
    p = p - p.mean(dim=(-2, -1), keepdim=True)
    t = t - t.mean(dim=(-2, -1), keepdim=True)
    norms = p.square().sum(dim=(-2, -1)) * t.square().sum(dim=(-2, -1))
    return like_field((p * t).sum(dim=(-2, -1)) / norms.sqrt(), target)


def valid_time(prediction: Field, target: Field, threshold: float = 0.8) -> Field:
    """Return the number of frames (...) before the correlation first falls below the threshold.

    Fields are rollouts (..., T, H, W); the result is T where it never falls below. A frame without
    a correlation (constant or not finite) counts as below. The threshold 0.8 is that of Kochkov et
    al. 2021, "Machine learning-accelerated computational fluid dynamics", figure 2.
    """
    valid = torch.as_tensor(correlation(prediction, target)) >= threshold
    return like_field(valid.to(torch.get_default_dtype()).cumprod(dim=-1).sum(dim=-1), target)
