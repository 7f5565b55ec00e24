"""What of a network takes part in its output: a network that throws its blocks away has no size.

A real parameter is live if the gradient of <r, f(x)> with respect to it is not zero, where r is
random and x is data-like: smooth random fields of several amplitudes, of mean 0 and variance about
1, as normalised frames are. The mode is that of evaluation, since in training a bias before a
batch norm has no effect. Weights that begin at zero, and so close a branch, are replaced by small
random numbers: training opens it. A gradient that is zero but for rounding counts as live. A
counted operation is live if the output changes when noise is added to the operation's own.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.module_tracker import ModuleTracker

from chimera.models.parity.counting import Operations, count_params, evaluating, zero_sample

_AMPLITUDES = (-3.0, -1.0, -0.3, 0.3, 1.0, 3.0)


@dataclass(frozen=True)
class Liveness:
    """What is live, and the names of the rest."""

    params: int
    dead_params: dict[str, int]  # by the name of a parameter, how many of its real numbers are dead
    dead_operations: tuple[str, ...]  # the modules in which a counted operation is dead


def live(model: nn.Module, input_shape: Sequence[int]) -> int:
    """Return the number of real parameters that take part in the output for samples (C, H, W)."""
    return liveness(model, input_shape).params


def liveness(model: nn.Module, input_shape: Sequence[int]) -> Liveness:
    """Return what is live in a network of samples (C, H, W), which is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network, inputs = opened(model), _fields(zero_sample(model, input_shape))
        dead_params = _dead_params(network, inputs)
        dead_operations = _dead_operations(network, inputs[-2:-1])
    return Liveness(count_params(model) - sum(dead_params.values()), dead_params, dead_operations)


@torch.no_grad()
def opened(model: nn.Module) -> nn.Module:
    """Return a copy with small random weights in place of zeros."""
    network = copy.deepcopy(model)
    for parameter in network.parameters():
        parameter[parameter == 0] = 0.1 * torch.randn_like(parameter)[parameter == 0]
    return network


def _fields(like: Tensor) -> Tensor:
    """Return smooth fields (6, C, H, W) with a tenth noise, above rounding at every wavenumber."""
    noise = torch.randn(len(_AMPLITUDES), *like.shape[1:], dtype=like.dtype, device=like.device)
    noise_hat = torch.fft.rfft2(noise.float())
    H, W = like.shape[-2:]
    rows, columns = torch.fft.fftfreq(H, 1 / H), torch.fft.rfftfreq(W, 1 / W)
    squares = (1 + rows[:, None] ** 2 + columns**2).to(like.device)
    smooth = torch.fft.irfft2(noise_hat / squares, (H, W))
    smooth = smooth / smooth.std() + 0.1 * noise
    return (torch.tensor(_AMPLITUDES, device=like.device)[:, None, None, None] * smooth).to(noise)


def _dead_params(model: nn.Module, inputs: Tensor) -> dict[str, int]:
    """Return the real numbers without gradient of each parameter that has any."""
    with evaluating(model), torch.enable_grad():
        output = model.requires_grad_()(inputs)
        if output.requires_grad:
            output.backward(torch.randn_like(output))
    dead = {}
    for name, parameter in model.named_parameters():
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        parts = torch.view_as_real(gradient) if gradient.is_complex() else gradient
        if count := int((parts == 0).sum()):
            dead[name] = count
    return dead


class _Noise(Operations):
    """Lists the counted operations of a pass by module, and adds noise to the output of one."""

    def __init__(self, tracker: ModuleTracker, disturbed: int) -> None:
        super().__init__()
        self.tracker, self.disturbed = tracker, disturbed
        self.modules: list[str] = []

    def add(self, _number: int, output: Any, /) -> None:
        """List the module of an operation."""
        if len(self.modules) == self.disturbed:
            for part in filter(torch.is_tensor, output if isinstance(output, tuple) else [output]):
                part.add_(torch.randn_like(part) * (0.1 + part.abs().mean()))
        self.modules.append(max(self.tracker.parents, key=len))


def _dead_operations(model: nn.Module, inputs: Tensor) -> tuple[str, ...]:
    """Return the modules with a counted operation whose output decides nothing."""

    def run(at: int = -1) -> tuple[Tensor, list[str]]:
        with evaluating(model), ModuleTracker() as tracker, _Noise(tracker, at) as mode:
            return model(inputs), mode.modules

    undisturbed, modules = run()
    dead = [name for at, name in enumerate(modules) if torch.equal(run(at)[0], undisturbed)]
    return tuple(dict.fromkeys(name.partition(".")[2] or "the network itself" for name in dead))
