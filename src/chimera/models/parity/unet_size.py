"""Parameters and MACs of a UNet, plain or fractal, as a function of its widths.

With a_l channels into the block of a level and b_l out of it, k x k kernels, n outer convolutions
(from a_l) and m inner ones (from b_l), a block costs

    parameters  n k^2 a b + m k^2 b^2 + b (n + m) [bias] + 2 b (n + m) [norm]
    MACs        (n k^2 a b + m k^2 b^2) H W / 4^l

where n = m = 1 for the double convolution and n = C, m = 2^C - 1 - C for the fractal f_C.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from chimera.models.networks.layers import CENTRING_NORMS

CLOSED_FORMS = ("unet", "fractal_unet")  # the types for which the formula holds


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
