"""The small networks that the tests build, and settings: a test states only what it changes."""

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
