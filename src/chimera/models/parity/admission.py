"""What a network has to be, before any is trained: built, of a size that fits, and a function.

It maps (B, P C + K, H, W) to (B, C, H, W), both float32, by input and weights alone in evaluation.
"""

import copy
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from chimera.interface.errors import InputError
from chimera.models.forecasting.building import build_model
from chimera.models.forecasting.registry import reporting
from chimera.models.forecasting.sites import kind_of, trace_sites
from chimera.models.parity.counting import count_params, evaluating, zero_sample
from chimera.models.parity.liveness import opened

_BYTES = 4 * 4  # of each weight, its gradient and AdamW's two moments
_ROUNDING = 1e-3  # of the largest output: how kernels for one sample and for two may differ
_LOST = "checkpoint is another function: what it draws must be a parameter or a persistent buffer"


def admit(settings: Mapping[str, Any], out_channels: int, key: str) -> nn.Module:
    """Build the network of a model's settings, fitted to its data, or refuse it in one sentence."""
    _require_memory(settings, key)
    network, shape = build_model(settings, key), settings["input_shape"]
    what = f"{key} is a {settings['type']}"
    _check_parameters(network, what)
    inputs = torch.randn_like(zero_sample(network, shape).expand(2, *shape))
    inputs[1] += 1  # what mixes two samples shows by their means
    with torch.random.fork_rng(devices=[]):
        again = build_model(settings, key)
        with evaluating(network):
            _check_function(network, again.eval(), inputs, out_channels, what)
            with reporting(key):
                trace_sites(copy.deepcopy(network), inputs)
        _output(out_channels, f"{what} in training mode", again.train(), inputs)
    return network


def require_real(fields: Mapping[str, Any], fed: Sequence[int], num_fields: int, key: str) -> None:
    """Refuse complex weights in a model's section, fed (P C + K, H, W): torch compiles none."""
    given = {"padding": ["circular"] * 2, "out_channels": num_fields}
    settings = {**given, **fields, "input_shape": list(fed)}
    try:
        with torch.device("meta"):
            network = build_model(settings, key)
    except Exception:  # it cannot be built there
        network = build_model(settings, key)
    if any(parameter.is_complex() for parameter in network.parameters()):
        why = "has complex weights, which torch does not compile"
        raise InputError(f"{key} {why}, expected train.compile: false")


def _require_memory(settings: Mapping[str, Any], key: str) -> None:
    """Refuse more than the machine's memory; what the meta device cannot build is not counted."""
    params, memory = 0, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(Exception), torch.device("meta"):
        params = count_params(build_model(settings, key))
    if (needed := _BYTES * params) > memory:
        raise InputError(
            f"{key} has {params:,} parameters, which need {needed / 2**30:,.1f} GiB with gradients "
            f"and moments, expected at most the {memory / 2**30:,.1f} GiB of this machine"
        )


def _check_parameters(network: nn.Module, what: str) -> None:
    if any(map(is_lazy, [*network.parameters(), *network.buffers()])):
        raise InputError(f"{what} with shapes that its first input decides, expected them given")
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise InputError(f"{what} without a parameter to train, expected one or more")
    if not all(p.is_floating_point() or p.is_complex() for p in network.parameters()):
        raise InputError(f"{what} with a parameter of whole numbers, expected a buffer")


def _output(C: int, what: str, network: nn.Module, *inputs: Tensor) -> Tensor:
    """Return the last output of a copy of the network that is called with each input in turn."""
    B, _, *grid = inputs[-1].shape
    passed, expected = [x.clone() for x in inputs], (B, C, *grid)
    with reporting(f"{what} that fails on an input of shape {tuple(inputs[-1].shape)}"):
        *_, output = map(copy.deepcopy(network), passed)
    if not all(map(torch.equal, passed, inputs)):
        raise InputError(f"{what} that changes its input in place, expected it left as it was")
    if getattr(output, "dtype", None) != inputs[-1].dtype or output.shape != expected:
        kind = kind_of(output)
        raise InputError(f"{what} with an output {kind}, expected float32 of {expected}")
    return output


def _check_function(network: nn.Module, again: nn.Module, x: Tensor, C: int, what: str) -> None:
    """Compare outputs: repeated, after another call, from a checkpoint, of one sample alone.

    Weights of zero, which may close a branch that makes a difference, are replaced.
    """
    output = partial(_output, C, what)
    if not output(network, x).isfinite().all():
        raise InputError(f"{what} whose output is not finite, expected numbers")
    network = opened(network)
    with reporting(f"{what} whose checkpoint cannot be read"):
        again.load_state_dict(network.state_dict())
    first, alone = output(network, x), output(network, x[:1])
    others = {
        "output is random in evaluation mode, expected one output": output(network, x),
        "output depends on an earlier call, expected no state": output(network, x.flip(-1), x),
        _LOST: output(again, x),
        "output depends on the other samples of a batch, expected on its own": alone,
    }
    for fault, other in others.items():
        tolerance = _ROUNDING * float(first.abs().max()) if other is alone else 0
        # Not so of infinities, which only the replaced weights can have made.
        if (other - first[: len(other)]).abs().max() > tolerance:
            raise InputError(f"{what} whose {fault}")
