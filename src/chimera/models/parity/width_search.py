"""Channel lists with which one network is as large as another.

With a_l channels into the block of a level and b_l out of it, k x k kernels, n outer convolutions
(from a_l) and m inner ones (from b_l), a block costs

    parameters  n k^2 a b + m k^2 b^2 + b (n + m) [bias] + 2 b (n + m) [norm]
    MACs        (n k^2 a b + m k^2 b^2) H W / 4^l

where n = m = 1 for the double convolution and n = C, m = 2^C - 1 - C for the fractal f_C. Scaling
all levels alike often misses the tolerance, so every level's width is free: all lists on a lattice
around the baseline's are tried, and those within tolerance with the nearest profile are built and
counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np

from chimera.interface.errors import InputError
from chimera.models.forecasting.building import build_model, check_model
from chimera.models.networks.layers import CENTRING_NORMS
from chimera.models.parity.counting import count

_MAX_SOLUTIONS = 10
CLOSED_FORMS = ("unet", "fractal_unet")


@dataclass(frozen=True)
class Solution:
    """A channel list within tolerance of the baseline.

    `profile_change` is the root-mean-square, over neighbouring levels, of the change of
    log2(b_{l+1} / b_l) against the baseline: 0 where the widths grow as the baseline's do. It is a
    confound of the comparison.
    """

    channels: tuple[int, ...]
    params: int
    macs: int
    params_gap: float
    macs_gap: float
    profile_change: float


def solve_widths(
    settings: Mapping[str, Any], baseline: Mapping[str, Any], tolerance: float
) -> list[Solution]:
    """Find channel lists that bring a network within tolerance of the baseline.

    Widths are multiples of 8, 4, 2 or 1, whichever is the largest up to half of the baseline's
    narrowest level, between 1/4 and 3/2 of the baseline's.

    Args:
        settings: The network's settings, `channels` being ignored.
        baseline: The baseline's settings.
        tolerance: Largest relative gap in parameters and in MACs, such as 0.05.

    Returns:
        Up to ten solutions, each built and counted, the smallest change of profile first.

    Raises:
        InputError: If no list on the lattice is within tolerance, or a network has other blocks.
    """
    for fields in (settings, baseline):
        if not has_closed_form(fields):
            raise InputError(
                f"model.type is {fields['type']!r}, expected one with a closed form of its size, "
                f"{' or '.join(CLOSED_FORMS)}"
            )
    wanted = check_model(baseline, "model")
    wanted_params, wanted_macs = count(build_model(baseline), wanted.input_shape)
    widths = wanted.channels
    network = check_model({**settings, "channels": list(widths)}, "model")

    found: list[tuple[int, ...]] = []
    lattice = _lattice(widths)
    for outer in product(*lattice[:-3]):
        inner = np.meshgrid(*lattice[-3:], indexing="ij")
        channels = [*(np.full_like(inner[0], width) for width in outer), *inner]
        params, macs = closed_form(network, channels)
        gaps = abs(params / wanted_params - 1), abs(macs / wanted_macs - 1)
        rows = np.stack([width[np.maximum(*gaps) <= tolerance] for width in channels], axis=-1)
        found.extend(tuple(row) for row in rows.tolist())
    if not found:
        raise InputError(
            f"'tolerance' = {tolerance} is met by no channel list of a {settings['type']} near the "
            f"baseline's {list(widths)}, expected a larger tolerance, other columns or a wider "
            f"baseline."
        )
    found.sort(key=lambda widths_found: (_profile_change(widths_found, widths), widths_found))
    solutions = []
    for candidate in found[:_MAX_SOLUTIONS]:
        model = build_model({**settings, "channels": list(candidate)})
        params, macs = count(model, network.input_shape)
        gaps = params / wanted_params - 1, macs / wanted_macs - 1
        change = _profile_change(candidate, widths)
        solutions.append(Solution(candidate, params, macs, *gaps, change))
    return solutions


def has_closed_form(settings: Mapping[str, Any]) -> bool:
    """Whether the formula above holds for a network."""
    return settings["type"] in CLOSED_FORMS


def closed_form(settings: Any, channels: Sequence[Any]) -> tuple[Any, Any]:
    """Return parameters and MACs by the formula above for widths, integers or equal arrays."""
    H, W = settings.grid
    taps = settings.kernel_size**2
    outer, inner = settings.units
    # Scale and shift of the norm, and the bias of the convolution.
    bias = int(settings.norm not in CENTRING_NORMS)
    vectors = 2 * (settings.norm != "none") + bias
    head = settings.field_channels * channels[0]
    params, macs = head + settings.field_channels, head * H * W
    down = enumerate(pairwise([settings.input_shape[0], *channels]))
    up = [(level, (2 * b if settings.use_skip else b, b)) for level, b in enumerate(channels[:-1])]
    for level, (a, b) in [*down, *up]:
        weights = taps * (outer * a * b + inner * b * b)
        params = params + weights + vectors * (outer + inner) * b
        macs = macs + weights * (H * W >> 2 * level)
    for level, (b, below) in enumerate(pairwise(channels)):
        params = params + 4 * below * b + bias * b
        macs = macs + below * b * (H * W >> 2 * level)
    return params, macs


def _lattice(widths: tuple[int, ...]) -> list[np.ndarray]:
    base = next(step for step in (8, 4, 2, 1) if 2 * step <= max(2, min(widths)))
    lattice = []
    for width in widths:
        step = base * max(1, width // (32 * base))
        lowest = step * max(1, width // (4 * step))
        lattice.append(np.arange(lowest, 3 * width // 2 + 1, step, dtype=np.int64))
    return lattice


def _profile_change(channels: tuple[int, ...], baseline: tuple[int, ...]) -> float:
    growth = np.diff(np.log2(channels)) - np.diff(np.log2(baseline))
    return float(np.sqrt(np.mean(growth**2)))
