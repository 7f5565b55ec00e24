"""The size of a network: distinct real parameters, and real multiply-accumulates of one sample.

A complex parameter is two real ones. MACs are half of the real operations of torch's
`FlopCounterMode`, which is exact for convolutions, transposed ones, and products of real matrices.
torchinfo counts transposed convolutions stride squared times too often. Formulas are added for what
torch leaves out:

    complex products     4 real multiplications for each, of matrices or by element
    complex x real       2 by element
    complex transform    5 N log2 N real operations of N points
    real transform       5/2 N log2 N, forwards or backwards

(Cooley & Tukey 1965, radix 2, as in FFTW's benchmarks; whatever the library needs). Products by
element of real numbers, sums, norms and activations are not counted, as is usual.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import log2, prod
from typing import Any

import torch
import torchinfo
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode, flop_registry

aten = torch.ops.aten
Formula = Callable[..., int]


def count(model: nn.Module, input_shape: Sequence[int]) -> tuple[int, int]:
    """Return real parameters, shared ones counted once, and MACs of one sample (C, H, W)."""
    with counting(model) as counter:
        model(zero_sample(model, input_shape))
    return count_params(model), int(counter.get_total_flops()) // 2


def count_params(model: nn.Module) -> int:
    """Return the number of distinct real parameters."""
    return sum((1 + parameter.is_complex()) * parameter.numel() for parameter in model.parameters())


def count_torchinfo(model: nn.Module, input_shape: Sequence[int]) -> int:
    """Count the MACs of one sample as torchinfo does, for comparison with its tables."""
    with evaluating(model):
        summary = torchinfo.summary(model, input_data=zero_sample(model, input_shape), verbose=0)
    return int(summary.total_mult_adds)


def zero_sample(model: nn.Module, input_shape: Sequence[int]) -> Tensor:
    """Return an input (1, C, H, W) of zeros, in the real type of the model's parameters."""
    like = next((p for p in model.parameters() if p.is_floating_point() or p.is_complex()), None)
    if like is None:
        return torch.zeros(1, *input_shape)
    return torch.zeros((1, *input_shape), dtype=like.dtype.to_real(), device=like.device)


@contextmanager
def counting(model: nn.Module) -> Iterator[FlopCounterMode]:
    """Count the operations of the model in evaluation mode; attention as products of matrices."""
    counter = FlopCounterMode(display=False, custom_mapping=FORMULAS)
    with evaluating(model), sdpa_kernel(SDPBackend.MATH), counter:
        yield counter


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put every module in evaluation mode, without gradients, and back into its own on exit."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def _raw(formula: Formula) -> Formula:
    """Mark a formula that takes tensors where torch's own take shapes."""
    formula._get_raw = True  # type: ignore[attr-defined]
    return formula


def _with_complex(formula: Formula) -> Formula:
    """Return a formula of torch with four real products for each complex one."""

    @_raw
    def operations(*args: Any, out_val: Any, **kwargs: Any) -> int:
        return formula(*args, out_val=out_val, **kwargs) * (4 if out_val.is_complex() else 1)

    return operations


@_raw
def _product(a: Any, b: Any, *_: Any, out_val: Tensor, **__: Any) -> int:
    """Return 2 x the real multiplications of a product by element, if one factor is complex."""
    kinds = [isinstance(x, Tensor) and x.is_complex() for x in (a, b)]
    return 2 * out_val.numel() * (4 if all(kinds) else 2) if any(kinds) else 0


@_raw
def _inner_product(*tensors: Tensor, out_val: Tensor, **_: Any) -> int:
    """Return 2 x the real multiplications: one for each number of the largest, a matrix if any."""
    largest = max(tensor.numel() for tensor in tensors)
    return 2 * largest * (4 if out_val.is_complex() else 1)


@_raw
def _transform(x: Tensor, dims: Sequence[int], *_: Any, out_val: Tensor, **__: Any) -> int:
    real = x if not x.is_complex() else out_val if not out_val.is_complex() else None
    points = x if real is None else real
    N = prod(points.shape[dim] for dim in dims)
    share = 5.0 if real is None else 2.5
    return round(share * points.numel() * log2(N))  # numel / N transforms of N log2 N


_MATRIX_PRODUCTS = (aten.mm, aten.addmm, aten.bmm, aten.baddbmm)
FORMULAS: dict[Any, Formula] = {
    **{op: _with_complex(flop_registry[op]) for op in _MATRIX_PRODUCTS},
    **dict.fromkeys((aten.mul, aten.mul_), _product),
    **dict.fromkeys((aten.dot, aten.vdot, aten.mv, aten.addmv), _inner_product),
    **dict.fromkeys((aten._fft_r2c, aten._fft_c2r, aten._fft_c2c), _transform),
}
