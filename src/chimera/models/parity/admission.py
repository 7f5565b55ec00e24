"""What a network has to be, before any is trained: built, of a size that fits, and a function.

It maps (B, P C + K, H, W) to real (B, C, H, W), by input and weights alone in evaluation mode.
"""

import copy
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from chimera.interface.errors import InputError
from chimera.models.forecasting.building import build_model
from chimera.models.forecasting.registry import REGISTERED
from chimera.models.forecasting.sites import trace_sites
from chimera.models.parity.counting import count_params, evaluating, zero_sample

_COPIES = 4  # weights, gradients and AdamW's two moments
_FLOAT_BYTES = 4


def admit(settings: Mapping[str, Any], out_channels: int, key: str) -> nn.Module:
    """Build the network of a model's settings, fitted to its data, or refuse it in one sentence."""
    _require_memory(settings, key)
    network, shape = build_model(settings, key), settings["input_shape"]
    what = f"{key} is a {settings['type']}"
    if not any(p.requires_grad for p in network.parameters()):
        raise InputError(f"{what} without a parameter to train, expected one or more")
    inputs = torch.randn_like(zero_sample(network, shape).expand(2, *shape))
    try:
        with evaluating(network):
            _check_output(copy.deepcopy(network)(inputs), (2, out_channels, *shape[1:]), what)
            _check_function(network, inputs, what)
            trace_sites(copy.deepcopy(network), inputs)
    except InputError as error:
        raise error if str(error).startswith(key) else InputError(f"{key}: {error}") from None
    except Exception as error:  # whatever the code of another raises
        raise InputError(
            f"{what} that fails on an input of shape {tuple(inputs.shape)}: "
            f"{type(error).__name__}: {' '.join(str(error).split())}"
        ) from error
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
    try:
        with torch.device("meta"):
            params = count_params(build_model(settings, key))
    except Exception:
        if settings["type"] in REGISTERED:
            raise
        return
    needed = _COPIES * _FLOAT_BYTES * params
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        raise InputError(
            f"{key} has {params:,} parameters, which need {needed / 2**30:,.1f} GiB with gradients "
            f"and moments, expected at most the {memory / 2**30:,.1f} GiB of this machine"
        )


def _check_output(output: Any, expected: Sequence[int], what: str) -> None:
    if not isinstance(output, Tensor):
        raise InputError(f"{what} with an output {type(output).__name__}, expected a tensor")
    if tuple(output.shape) != tuple(expected) or not output.is_floating_point():
        raise InputError(
            f"{what} with an output {str(output.dtype).removeprefix('torch.')} of shape "
            f"{tuple(output.shape)}, expected real numbers of {tuple(expected)} for an input of 2"
        )


def _check_function(network: nn.Module, inputs: Tensor, what: str) -> None:
    """Compare fresh copies of the network: with other random numbers, and after another call."""

    def output(seed: int, *before: Tensor) -> Tensor:
        fresh = copy.deepcopy(network)
        for earlier in before:
            fresh(earlier)
        torch.manual_seed(seed)
        result: Tensor = fresh(inputs)
        return result

    with torch.random.fork_rng(devices=[]):
        first = output(0)
        if not torch.equal(first, output(1)):
            raise InputError(
                f"{what} whose output is random in evaluation mode, expected one output"
            )
        if not torch.equal(first, output(0, inputs.flip(-1))):
            raise InputError(
                f"{what} whose output depends on an earlier call, expected no state between calls"
            )
