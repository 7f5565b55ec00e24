"""The keys of a convolution, and edits of its weight.

Keys are the patches k of the input that the weight multiplies, v = W k + bias. Their uncentred
second moment C = E[k k^T] weights the directions that usual inputs use (Meng et al. 2022,
arXiv:2202.05262, section 3.1, there for tokens).

B batch, C channel, H, W space; G groups, D patch dimensions of a group, n keys.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from chimera.interface.errors import InapplicableError, InputError, NoSiteError
from chimera.models.networks.padding import PaddedConv2d
from chimera.models.networks.periodic import PeriodicConv2d
from chimera.probes.rome.failure import Pairs

MIN_KEYS_PER_DIMENSION = 10  # of a patch; fewer estimate C too poorly to protect the usual outputs


def find_convolution(model: nn.Module, layer: str) -> nn.Conv2d:
    """Return the convolution with that path in `named_modules()`."""
    found = {name: part for name, part in model.named_modules() if isinstance(part, nn.Conv2d)}
    if layer not in found:
        raise InputError(f"{layer!r} is not a convolution, expected one of {', '.join(found)}")
    return found[layer]


def choose_layer(model: nn.Module, effects: Mapping[str, float]) -> str:
    """Return the path of the last convolution of the block with the largest effect below 1.

    A block through which all information passes has an effect of 1, whatever it computes. Of equal
    effects (blocks that cut the network at the same place) the last in network order counts. It is
    an InputError if no block with a convolution has an effect below 1.
    """
    last = last_convolutions(model, effects)
    below_one = {s: effect for s in reversed(last) if (effect := round(effects[s], 6)) < 1}
    if not below_one:
        raise NoSiteError(
            f"no block among the sites {', '.join(effects) or '(none)'} has a convolution and an "
            "effect below 1, expected one to edit"
        )
    return last[max(below_one, key=below_one.__getitem__)]


def last_convolutions(model: nn.Module, sites: Iterable[str]) -> dict[str, str]:
    """Return the path of the last convolution that can be edited of each site with any."""
    return {
        site: f"{site}.{name}".removesuffix(".")
        for site in sites
        for name, part in model.get_submodule(site).named_modules()
        if isinstance(part, nn.Conv2d) and _periodic_padding(part)
    }


def updated(model: nn.Module, layer: str, update: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the network with dW added to a layer's weight; the model itself stays as it is."""
    weight = find_convolution(model, layer).weight.detach()
    return partial(functional_call, model, {f"{layer}.weight": weight + update.to(weight.dtype)})


def unfold_keys(layer: nn.Conv2d, activation: Tensor) -> Tensor:
    """Return the keys of a convolution, (G, D, B H' W'), D = C / G k_h k_w; it gives W K + bias.

    It is an InputError if the layer pads its input (B, C, H, W) other than periodically.
    """
    padding = _periodic_padding(layer)
    if padding is None:
        raise InapplicableError(
            f"the convolution pads by {layer.padding!r} with {layer.padding_mode!r}, expected "
            "numbers of cells with 'circular', or no padding"
        )
    rows, columns = padding
    padded = functional.pad(activation, (columns, columns, rows, rows), mode="circular")
    patches = functional.unfold(padded, layer.kernel_size, layer.dilation, stride=layer.stride)
    return patches.unflatten(1, (layer.groups, -1)).permute(1, 2, 0, 3).flatten(2)


def _periodic_padding(layer: nn.Conv2d) -> tuple[int, ...] | None:
    """Return the cells by which a layer continues its input periodically, None if it does not."""
    if isinstance(layer, PeriodicConv2d):
        return tuple(size // 2 for size in layer.kernel_size)
    padding = layer.padding
    if isinstance(layer, PaddedConv2d) or isinstance(padding, str):
        return None
    return None if any(padding) and layer.padding_mode != "circular" else tuple(padding)


def second_moment(keys: Tensor) -> Tensor:
    """Return C = 1/n sum k k^T, uncentred, (G, D, D) in float64, of keys (G, D, n)."""
    D, n = keys.shape[-2:]
    if n < MIN_KEYS_PER_DIMENSION * D:
        raise InapplicableError(
            f"the covariance has {n} keys for {D} patch dimensions, expected at least "
            f"{MIN_KEYS_PER_DIMENSION} for each: use more IND frames"
        )
    double = keys.double()
    return double @ double.mT / n


@torch.no_grad()
def _layer_input(model: nn.Module, conv: nn.Conv2d, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the layer's input and the network's output."""
    seen: list[Tensor] = []
    with conv.register_forward_pre_hook(lambda _module, given: seen.append(given[0].clone())):
        output = model(inputs)
    if not (torch.isfinite(seen[0]).all() and torch.isfinite(output).all()):
        raise InputError(
            "the edited layer's activations or the network's outputs hold NaN or infinite values, "
            "expected finite ones"
        )
    return seen[0], output


def failing_keys(model: nn.Module, conv: nn.Conv2d, target: Pairs, count: int) -> Tensor:
    """Return the keys (G, D, n) of one sample where the output's error is largest, worst first.

    The squared error is averaged over each cell of the layer's grid; the network's output has the
    spatial layout of its input (1, C, H, W). A cell that the kernel around a worse cell covers is
    left out: neighbouring patches are nearly the same key. A layer's grid that is too small for n
    keys, or an activation that is not finite, is an InputError.
    """
    activation, output = _layer_input(model, conv, target.inputs)
    keys = unfold_keys(conv, activation).double()
    error = (output - target.targets).square().sum(dim=(0, 1))[None, None]
    with torch.no_grad():
        H, W = conv(activation).shape[-2:]
    error = functional.adaptive_avg_pool2d(error, (H, W))[0, 0]
    radius = [k // 2 for k in conv.kernel_size]
    positions: list[int] = []
    for _ in range(count):
        position = int(error.argmax())
        if not error.flatten()[position] >= 0:
            raise NoSiteError(
                f"probes.rome.num_keys is {count}, expected at most {len(positions)}: no more "
                f"separate patches exist in a layer of {H} x {W} cells"
            )
        positions.append(position)
        row, column = divmod(position, W)
        rows = torch.arange(row - radius[0], row + radius[0] + 1) % H
        columns = torch.arange(column - radius[1], column + radius[1] + 1) % W
        error[rows[:, None], columns] = -1.0
    return keys[:, :, positions]


def reference_keys(
    model: nn.Module,
    conv: nn.Conv2d,
    inputs: Tensor,
    keys_per_dimension: int,
    rng: np.random.Generator,
) -> Tensor:
    """Return keys (G, D, n) of inputs (B, C, H, W), drawn evenly from all samples and positions."""
    parts = []
    for chunk in inputs.split(8):
        keys = unfold_keys(conv, _layer_input(model, conv, chunk)[0])
        share = keys_per_dimension * keys.shape[1] * len(chunk) / len(inputs)
        count = min(keys.shape[2], math.ceil(share))  # rounded up in every chunk
        parts.append(keys[:, :, rng.choice(keys.shape[2], count, replace=False)])
    return torch.cat(parts, dim=2)
