"""The sites of a network, where probes read or replace an activation.

A site is a module of class `Site`, or one that the model's settings name (`sites`), and is named by
its path in `named_modules()`. Its depth is its place in the order in which one forward pass makes
the activations, found by tracing.
"""

from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from chimera.interface.errors import InputError
from chimera.models.networks.site import Site


def name_sites(network: nn.Module, names: Any, key: str = "model") -> None:
    """Make modules sites of a network that knows nothing of them, by their paths."""
    if not isinstance(names, list | tuple):
        raise InputError(f"{key}.sites is {names!r}, expected a list of names of modules")
    known = dict(network.named_modules())
    for name in names:
        if not isinstance(name, str) or not name or name not in known:
            places = ", ".join(filter(None, known)) or "none, as the network has no modules"
            raise InputError(f"{key}.sites has {name!r}, expected names of modules: {places}")
    network.named_sites = tuple(names)  # type: ignore[assignment]


def site_names(network: nn.Module) -> tuple[str, ...]:
    """Return the paths of all sites, in the order of `named_modules()`."""
    named: Any = getattr(network, "named_sites", ())
    modules = network.named_modules()
    return tuple(name for name, part in modules if isinstance(part, Site) or name in named)


@torch.no_grad()
def trace_sites(network: nn.Module, inputs: Tensor) -> tuple[str, ...]:
    """Return the paths of all sites in the order in which their activations are made.

    Inputs are (B, C, H, W), and the network is in evaluation mode. A block comes behind the sites
    inside it, and a site that passes on what another has made behind that one. InputError if a site
    is not called exactly once, or gives no activation (B, C, H, W).
    """
    sites = site_names(network)
    places: dict[str, list[tuple[int, int]]] = {name: [] for name in sites}
    outputs: dict[str, Any] = {}
    made: dict[int, tuple[int, Any]] = {}  # by the id of a tensor, which is kept alive here
    clock = iter(range(1 << 62))

    def leave(name: str, _module: nn.Module, _inputs: tuple[Any, ...], output: Any) -> None:
        now = next(clock)
        first, _ = made.setdefault(id(output), (now, output))
        if name in places:
            places[name].append((first, now))
            outputs[name] = output

    with ExitStack() as stack:
        for name, module in network.named_modules():
            stack.enter_context(module.register_forward_hook(partial(leave, name)))
        network(inputs)
    for name in sites:
        _check_site(name, len(places[name]), outputs.get(name))
    return tuple(sorted(sites, key=lambda name: places[name]))


def _check_site(name: str, calls: int, activation: Any) -> None:
    if calls != 1:
        raise InputError(f"site {name!r} is called {calls} times in a forward pass, expected once")
    if not isinstance(activation, Tensor) or activation.dim() != 4 or activation.is_complex():
        kind = kind_of(activation)
        raise InputError(f"site {name!r} gives {kind}, expected real numbers (B, C, H, W)")


def kind_of(value: Any) -> str:
    """Return the type and shape of a tensor, or the class of anything else, for messages."""
    if isinstance(value, Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}".removeprefix("torch.")
    return type(value).__name__
