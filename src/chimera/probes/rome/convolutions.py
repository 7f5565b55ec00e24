"""One convolution of a network: found, its keys read, its weight edited and put back.

Its keys are the patches k of its input that the weight multiplies, v = W k + bias. Their uncentred
second moment C = E[k k^T] tells which directions of a weight the usual inputs use (Meng et al.
2022, arXiv:2202.05262, section 3.1, there of tokens).

B batch, C channel, H, W space; G groups, D patch dimensions of a group, n keys.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from chimera.interface.errors import InapplicableError, InputError
from chimera.models.networks.periodic import PeriodicConv2d
from chimera.probes.rome.failure import Pairs

# Below this many keys per patch dimension C is too poorly known to protect what it stands for.
MIN_KEYS_PER_DIMENSION = 10


def find_convolution(model: nn.Module, layer: str) -> nn.Conv2d:
    """Return the convolution of that path in `named_modules()`.

    Raises:
        InputError: If there is none; the message lists those that exist.

    Example:
        >>> find_convolution(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), "0")
        Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1))
    """
    found = {name: part for name, part in model.named_modules() if isinstance(part, nn.Conv2d)}
    if layer not in found:
        raise InputError(f"{layer!r} is not a convolution, expected one of {', '.join(found)}")
    return found[layer]


def choose_layer(model: nn.Module, effects: Mapping[str, float]) -> str:
    """Return the last convolution of the block whose site has the largest effect below 1.

    Blocks through which everything passes have an effect of 1 whatever they compute. Where several
    cut the network at the same place, and have the same effect, the last is taken.

    Args:
        model: A network whose blocks are sites, such as `chimera.models.build_model` gives.
        effects: Mean recovered effect of each site, in network order.

    Raises:
        InputError: If no block with a convolution has an effect below 1.

    Example:
        >>> network = nn.ModuleDict({"encoder": nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU())})
        >>> choose_layer(network, {"encoder": 0.4})
        'encoder.0'
    """
    last = {
        site: f"{site}.{name}"
        for site in effects
        for name, part in model.get_submodule(site).named_modules()
        if isinstance(part, nn.Conv2d)
    }
    below_one = {site: round(effects[site], 6) for site in last if round(effects[site], 6) < 1}
    if not below_one:
        raise InapplicableError(
            f"no block among the sites {', '.join(effects) or '(none)'} has a convolution and an "
            "effect below 1, expected one to edit"
        )
    best = max(below_one.values())
    return last[[site for site, effect in below_one.items() if effect == best][-1]]


@contextmanager
def edited(layer: nn.Conv2d, update: Tensor) -> Iterator[None]:
    """Add dW to a layer's weight as long as the context lasts; then the old bits are back.

    >>> layer = nn.Conv2d(1, 1, 1, bias=False)
    >>> before = layer.weight.item()
    >>> with edited(layer, torch.ones(1, 1, 1, 1)):
    ...     round(layer.weight.item() - before, 5)
    1.0
    >>> layer.weight.item() == before
    True
    """
    before = layer.weight.detach().clone()
    try:
        with torch.no_grad():
            layer.weight += update
        yield
    finally:
        with torch.no_grad():
            layer.weight.copy_(before)


def unfold_keys(layer: nn.Conv2d, activation: Tensor) -> Tensor:
    """Return the patches that a convolution multiplies by its weight: its keys.

    Args:
        layer: A convolution whose input continues periodically, or that does not pad.
        activation: Its input (B, C, H, W).

    Returns:
        (G, D, B H' W') for each group, D = C / G k_h k_w; the output is W K + bias.

    Raises:
        InputError: If the layer pads with anything but the periodic continuation.

    Example:
        >>> layer = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular", bias=False)
        >>> x = torch.randn(1, 1, 4, 4)
        >>> values = layer.weight.reshape(1, 9) @ unfold_keys(layer, x)[0]
        >>> bool(torch.allclose(values.reshape(1, 1, 4, 4), layer(x), atol=1e-6))
        True
    """
    p = _periodic_padding(layer)
    padded = functional.pad(activation, (p[1], p[1], p[0], p[0]), mode="circular")
    patches = functional.unfold(padded, layer.kernel_size, layer.dilation, stride=layer.stride)
    return patches.unflatten(1, (layer.groups, -1)).permute(1, 2, 0, 3).flatten(2)


def _periodic_padding(layer: nn.Conv2d) -> tuple[int, int]:
    if isinstance(layer, PeriodicConv2d):
        return layer.kernel_size[0] // 2, layer.kernel_size[1] // 2
    if layer.padding == (0, 0):
        return 0, 0
    if layer.padding_mode == "circular" and not isinstance(layer.padding, str):
        return layer.padding[0], layer.padding[1]
    raise InapplicableError(
        f"the convolution pads by {layer.padding!r} with {layer.padding_mode!r}, expected numbers "
        "of cells with 'circular', or no padding"
    )


def second_moment(keys: Tensor) -> Tensor:
    """Return C = 1/n sum k k^T, uncentred, (G, D, D) in float64, of keys (G, D, n).

    Raises:
        InputError: If there are fewer than ten keys for each of the D dimensions.

    Example:
        >>> keys = torch.tensor([[[1.0, 3.0] * 10]])
        >>> second_moment(keys)
        tensor([[[5.]]], dtype=torch.float64)
    """
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
    """Return the keys of one sample where its output errs most.

    The squared error is averaged over each cell of the layer's grid. A cell is not taken where the
    kernel around a worse one covers it: neighbouring patches are nearly the same key.

    Args:
        model: A network whose output has the layout of space of its input.
        conv: One of its convolutions.
        target: One input (1, C, H, W) and the output it should give.
        count: Keys n.

    Returns:
        Keys (G, D, n) in float64, the worst first.

    Raises:
        InputError: If the layer's grid has no room for that many, or an activation is not finite.

    Example:
        >>> layer = nn.Conv2d(1, 1, 1)
        >>> x = torch.arange(4.0).reshape(1, 1, 2, 2)
        >>> failing_keys(layer, layer, Pairs(x, layer(x).detach() + x), 2)
        tensor([[[3., 2.]]], dtype=torch.float64)
    """
    activation, output = _layer_input(model, conv, target.inputs)
    keys = unfold_keys(conv, activation).double()
    error = (output - target.targets).square().sum(dim=(0, 1))[None, None]
    H, W = _output_grid(conv, activation)
    error = functional.adaptive_avg_pool2d(error, (H, W))[0, 0]
    radius = [k // 2 for k in conv.kernel_size]
    positions: list[int] = []
    for _ in range(count):
        position = int(error.argmax())
        if not error.flatten()[position] >= 0:
            raise InapplicableError(
                f"probes.rome.num_keys is {count}, expected at most {len(positions)}: no more "
                f"patches lie apart in a layer of {H} x {W} cells"
            )
        positions.append(position)
        row, column = divmod(position, W)
        rows = torch.arange(row - radius[0], row + radius[0] + 1) % H
        columns = torch.arange(column - radius[1], column + radius[1] + 1) % W
        error[rows[:, None], columns] = -1.0
    return keys[:, :, positions]


def _output_grid(conv: nn.Conv2d, activation: Tensor) -> tuple[int, int]:
    with torch.no_grad():
        shape = conv(activation[:1]).shape
    return shape[-2], shape[-1]


def reference_keys(
    model: nn.Module,
    conv: nn.Conv2d,
    inputs: Tensor,
    keys_per_dimension: int,
    rng: np.random.Generator,
) -> Tensor:
    """Return keys of inputs (B, C, H, W), drawn evenly from all samples and positions.

    Args:
        model: A network.
        conv: One of its convolutions.
        inputs: Of the network.
        keys_per_dimension: Most keys for each of the D dimensions.
        rng: Generator of the draw.

    Returns:
        Keys (G, D, n), n at most keys_per_dimension * D, rounded up in every chunk.

    Raises:
        InputError: If an activation is not finite.

    Example:
        >>> layer = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")
        >>> inputs = torch.randn(4, 1, 8, 8)
        >>> reference_keys(layer, layer, inputs, 10, np.random.default_rng(0)).shape
        torch.Size([1, 9, 90])
    """
    parts = []
    for chunk in inputs.split(8):
        keys = unfold_keys(conv, _layer_input(model, conv, chunk)[0])
        share = keys_per_dimension * keys.shape[1] * len(chunk) / len(inputs)
        count = min(keys.shape[2], math.ceil(share))
        parts.append(keys[:, :, rng.choice(keys.shape[2], count, replace=False)])
    return torch.cat(parts, dim=2)
