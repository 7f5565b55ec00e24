"""The small networks that the tests build, and settings: a test states only what it changes."""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from torch import nn

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
