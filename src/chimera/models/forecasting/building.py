"""A network from its section of params.yaml.

`type` names a network of `chimera.models.networks`; `source`, the place of its code, is read by DVC
only, and `train` by the training; all other keys are the network's own settings.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from torch import nn

from chimera.interface.errors import InputError
from chimera.interface.settings import read_settings
from chimera.models.forecasting.registry import network_path

_NOT_OF_THE_NETWORK = ("type", "source", "train")


def build_model(settings: Mapping[str, Any], key: str = "model") -> nn.Module:
    """Return the network of the settings, with weights drawn from torch's default generator.

    Args:
        settings: `type` and the fields of that network's settings, such as `UNetSettings`; `source`
            and `train` are ignored.
        key: Dotted, for messages.

    Returns:
        A network from (B, C, H, W) to (B, C_out, H, W).

    Raises:
        InputError: If a field is missing or unknown, or has a value that cannot be used.
    """
    kind = _network_class(settings, key)
    network: nn.Module = kind(_read(kind, settings, key))
    return network


def check_model(settings: Mapping[str, Any], key: str) -> Any:
    """Return the settings that `build_model` reads; a null in `input_shape` is a large side."""
    shape = settings.get("input_shape") if isinstance(settings, Mapping) else None
    if isinstance(shape, Sequence) and not isinstance(shape, str):
        settings = {**settings, "input_shape": [1 << 10 if s is None else s for s in shape]}
    return _read(_network_class(settings, key), settings, key)


def fit_to_data(
    settings: Mapping[str, Any],
    shape: Sequence[int],
    boundary: Sequence[str],
    key: str = "model",
    *,
    conditioning: int = 0,
) -> dict[str, Any]:
    """Return a model's settings for its data, without `source` and `train`.

    Args:
        settings: As in params.yaml; nulls in `input_shape` are replaced by the data's shape.
        shape: (C, H, W) of the data.
        boundary: `periodic` or not, along H and W; the default of `padding`.
        key: Dotted, for messages.
        conditioning: Number of further input channels.
    """
    wanted = settings.get("input_shape")
    if not isinstance(wanted, Sequence) or isinstance(wanted, str) or len(wanted) != len(shape):
        raise InputError(f"{key}.input_shape is {wanted!r}, expected [C, H, W]")
    filled = [have if want is None else want for want, have in zip(wanted, shape, strict=True)]
    if filled != list(shape):
        raise InputError(
            f"{key}.input_shape is {list(wanted)}, expected {list(shape)} as the data have; a null "
            f"in data.shape stands for what they have"
        )
    C, *grid = filled
    result = {**settings, "input_shape": [C + conditioning, *grid]}
    if conditioning:
        result["out_channels"] = C
    for name in ("source", "train"):
        result.pop(name, None)
    padding = ["circular" if kind == "periodic" else "replicate" for kind in boundary]
    if "replicate" in padding:
        result.setdefault("padding", padding)
    return result


def _network_class(settings: Mapping[str, Any], key: str) -> Any:
    module, _, name = network_path(settings, key).rpartition(".")
    return getattr(import_module(module), name)


def _read(kind: Any, settings: Mapping[str, Any], key: str) -> Any:
    own = {name: value for name, value in settings.items() if name not in _NOT_OF_THE_NETWORK}
    return read_settings(own, key, kind.Settings)
