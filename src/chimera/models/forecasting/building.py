"""A network from its section of params.yaml.

`type` names a network of `chimera.models.networks`, or any other class of `torch.nn.Module` by its
import path; `source` is the place of its code, `sites` names modules that probes read, `train` is
read by the training and `search` by the width search. All other keys are the network's own: the
settings of a registered network, the keyword arguments of another class. Such a class is given
`input_shape` (P C + K, H, W), `padding` along H and W and `out_channels` C, too, where its
signature names them.
"""

import inspect
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from torch import nn

from chimera.interface.errors import InputError
from chimera.interface.settings import read_settings
from chimera.models.forecasting.registry import REGISTERED, network_class, network_path, reporting
from chimera.models.forecasting.sites import name_sites

_NOT_OF_THE_NETWORK = ("type", "source", "sites", "train", "search")
_OFFERED = ("input_shape", "padding", "out_channels")


def build_model(settings: Mapping[str, Any], key: str = "model") -> nn.Module:
    """Return the network of the settings, with weights drawn from torch's default generator.

    It maps (B, C, H, W) to (B, C_out, H, W). Beside `type` the settings hold the fields of, say,
    `UNetSettings`, or the arguments of the class that `type` names; `key` is dotted, for messages.
    InputError if a field is missing or unknown, or has a value that cannot be used.
    """
    kind = network_class(settings, key)
    read = _read(kind, settings, key)
    own, fault = isinstance(read, dict), f"{key}: {settings['type']} cannot be built of {read}"
    with reporting(fault) if own else nullcontext():
        network: nn.Module = kind(**read) if own else kind(read)
    name_sites(network, settings.get("sites", ()), key)
    return network


def check_model(settings: Mapping[str, Any], key: str) -> Any:
    """Return the settings or arguments of a network; a null in `input_shape` is a large side."""
    network_path(settings, key)
    if not Path(source := str(settings.get("source", "."))).exists():
        raise InputError(f"{key}.source is {source!r}, expected a file or folder that exists")
    shape = settings.get("input_shape")
    if isinstance(shape, Sequence) and not isinstance(shape, str):
        settings = {**settings, "input_shape": [1 << 10 if s is None else s for s in shape]}
    return _read(network_class(settings, key), settings, key)


def fit_to_data(
    settings: Mapping[str, Any],
    shape: Sequence[int],
    boundary: Sequence[str],
    key: str = "model",
    *,
    conditioning: int = 0,
    past_frames: int = 1,
) -> dict[str, Any]:
    """Return a model's settings for its data, without what decides nothing of the network.

    The data's `shape` (C, H, W) replaces nulls in `input_shape`; the `boundary` along H and W,
    `periodic` or not, is the default of `padding`. K = `conditioning` channels stand beside the C
    fields of each of P = `past_frames` frames. `key` is dotted, for messages.
    """
    is_own = settings.get("type") not in list(REGISTERED)  # whether or not it has a hash
    wanted = settings.get("input_shape", [None] * len(shape) if is_own else None)
    if not isinstance(wanted, Sequence) or isinstance(wanted, str) or len(wanted) != len(shape):
        raise InputError(f"{key}.input_shape is {wanted!r}, expected [C, H, W]")
    filled = [have if want is None else want for want, have in zip(wanted, shape, strict=True)]
    if filled != list(shape):
        raise InputError(
            f"{key}.input_shape is {list(wanted)}, expected {list(shape)} as the data have; a null "
            f"in data.shape stands for what they have"
        )
    C, *grid = filled
    result = {**settings, "input_shape": [past_frames * C + conditioning, *grid]}
    if result["input_shape"] != filled or is_own:
        result["out_channels"] = C
    for name in ("train", "search") if is_own else ("source", "train", "search"):
        result.pop(name, None)
    padding = ["circular" if kind == "periodic" else "replicate" for kind in boundary]
    if "replicate" in padding or is_own:
        result.setdefault("padding", padding)
    return result


def _read(kind: Any, settings: Mapping[str, Any], key: str) -> Any:
    """Return a registered network's settings, or the keyword arguments of another class."""
    own = {name: value for name, value in settings.items() if name not in _NOT_OF_THE_NETWORK}
    if settings["type"] in REGISTERED:
        return read_settings(own, key, kind.Settings)
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise InputError(f"{key}.type is {settings['type']!r}, expected a class of torch.nn.Module")
    signature = inspect.signature(kind)
    for name in _OFFERED:
        if name not in signature.parameters:
            own.pop(name, None)
        elif isinstance(own.get(name), list):
            own[name] = tuple(own[name])
    with reporting(f"{key} holds {own}, expected the arguments of {settings['type']}{signature}"):
        # What the data decide may be unknown yet.
        signature.bind(**dict.fromkeys(n for n in _OFFERED if n in signature.parameters) | own)
    return own
