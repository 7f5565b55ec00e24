"""The size of a network: distinct parameters, and multiply-accumulates of one sample.

MACs are half of the floating-point operations of torch's `FlopCounterMode`, which is exact for
convolutions and transposed ones. torchinfo counts the latter stride squared times too often.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torchinfo
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def count(model: nn.Module, input_shape: Sequence[int]) -> tuple[int, int]:
    """Return parameters, shared ones counted once, and MACs of one sample (C, H, W)."""
    params = sum(parameter.numel() for parameter in model.parameters())
    with _evaluating(model), FlopCounterMode(display=False) as counter:
        model(_sample(model, input_shape))
    return params, counter.get_total_flops() // 2


def count_torchinfo(model: nn.Module, input_shape: Sequence[int]) -> int:
    """Count the MACs of one sample as torchinfo does, for comparison with its tables."""
    with _evaluating(model):
        summary = torchinfo.summary(model, input_data=_sample(model, input_shape), verbose=0)
    return int(summary.total_mult_adds)


def _sample(model: nn.Module, input_shape: Sequence[int]) -> Tensor:
    like = next(model.parameters(), torch.zeros(()))
    return torch.zeros((1, *input_shape), dtype=like.dtype, device=like.device)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes.items():
            module.training = training
