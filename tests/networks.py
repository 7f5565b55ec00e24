"""The settings of the small networks that the tests build: a test states only what it changes."""

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
