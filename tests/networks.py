"""The small networks that the tests build, and settings: a test states only what it changes."""

import sys
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from types import ModuleType

from torch import nn

from chimera.models.networks.layers import CENTRING_NORMS

UNET = {
    "type": "unet",
    "input_shape": [1, 16, 16],
    "channels": [4, 6, 8],
    "kernel_size": 3,
    "use_skip": True,
    "norm": "group",
    "activation": "gelu",
    "dropout": 0.0,
}
FRACTAL = UNET | {"type": "fractal_unet", "columns": 2, "drop_path": 0.0}


def closed_form(settings):
    """Return the parameters and MACs of a UNet, plain or fractal, as a function of its widths.

    With a_l channels into the block of a level and b_l out of it, k x k kernels, n outer
    convolutions (from a_l) and m inner ones (from b_l), a block costs

        parameters  n k^2 a b + m k^2 b^2 + b (n + m) [bias] + 2 b (n + m) [norm]
        MACs        (n k^2 a b + m k^2 b^2) H W / 4^l

    where n = m = 1 for the double convolution and n = C, m = 2^C - 1 - C for the fractal f_C.
    """
    (H, W), channels, taps = settings.grid, settings.channels, settings.kernel_size**2
    columns = getattr(settings, "columns", 0)
    outer, inner = (columns, 2**columns - 1 - columns) if columns else (1, 1)
    # Scale and shift of the norm, and the bias of the convolution.
    bias = int(settings.norm not in CENTRING_NORMS)
    vectors = 2 * (settings.norm != "none") + bias
    fields = settings.out_channels or settings.input_shape[0]
    head = fields * channels[0]
    params, macs = head + fields, head * H * W
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


class Expression(nn.Module):
    """A network that computes an expression of its input, with the parameters of `layers`."""

    def __init__(self, expression, *layers):
        super().__init__()
        self.expression, self.layers = expression, nn.ModuleList(layers)

    def forward(self, x):
        return self.expression(x, *self.layers)


class Unshared:
    """In place of what uploads a network."""

    def __init_subclass__(cls, **_):
        super().__init_subclass__()


def without_its_dependencies(monkeypatch):
    """Let files of the_well.benchmark.models be imported one by one.

    Their package imports all networks, timm for dropping paths, and a hub.
    """
    for module in ("timm", "timm.models", "timm.models.layers", "the_well.benchmark.models"):
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
    sys.modules["timm.models.layers"].DropPath = nn.Identity
    folder = Path(find_spec("the_well.benchmark").origin).parent / "models"
    sys.modules["the_well.benchmark.models"].__path__ = [str(folder)]
    hub = ModuleType("huggingface_hub")
    hub.PyTorchModelHubMixin = Unshared
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
