"""The size of a network: distinct real parameters, and real multiply-accumulates of one sample.

A complex parameter is two real ones. MACs are half of the real operations by the formulas of
torch's `FlopCounterMode`, exact for convolutions, transposed ones, and products of real matrices.
torchinfo counts transposed convolutions stride squared times too often. Formulas are added for what
torch leaves out:

    complex products     4 real multiplications for each, of matrices or by element
    complex x real       2 by element
    complex transform    5 N log2 N real operations of N points
    real transform       5/2 N log2 N, forwards or backwards
    LSTM, nn.Bilinear    1 real multiplication for each weight, of each step or sample

(Cooley & Tukey 1965, radix 2, as in FFTW's benchmarks; whatever the library needs). Products by
element of real numbers, sums, norms and activations are not counted, as is usual.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from math import log2, prod
from typing import Any

import torch
import torchinfo
from torch import Tensor, nn
from torch.backends import mha
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from chimera.models.forecasting.stepping import evaluation_mode

aten = torch.ops.aten
Formula = Callable[..., int]


def count(model: nn.Module, input_shape: Sequence[int]) -> tuple[int, int]:
    """Return real parameters, shared ones counted once, and MACs of one sample (C, H, W)."""
    with evaluating(model), Operations() as counted:
        model(zero_sample(model, input_shape))
    return count_params(model), counted.total // 2


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
    numbers = (p for p in model.parameters() if p.is_floating_point() or p.is_complex())
    like = next(numbers, torch.zeros(()))
    return torch.zeros((1, *input_shape), dtype=like.dtype.to_real(), device=like.device)


class Operations(TorchDispatchMode):
    """Adds up the real operations of what runs within it."""

    total = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch loads its compiler, to leave this out of graphs: 0.6 s

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation, and call `add` if it counts."""
        output, formula = func(*args, **(kwargs or {})), FORMULAS.get(func.overloadpacket)
        if number := formula(*args, **(kwargs or {}), out_val=output) if formula else 0:
            self.add(int(number), output)
        return output

    def add(self, number: int, _output: Any, /) -> None:
        """Add the real operations that made an output."""
        self.total += number


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Set evaluation mode, no gradients, and attention as products of matrices; undo it on exit."""
    with evaluation_mode(model), torch.no_grad(), sdpa_kernel(SDPBackend.MATH), ExitStack() as undo:
        undo.callback(mha.set_fastpath_enabled, mha.get_fastpath_enabled())
        mha.set_fastpath_enabled(False)
        yield


def _with_complex(formula: Formula) -> Formula:
    """Return a formula of torch with four real products for each complex one."""

    def operations(*args: Any, out_val: Any, **kwargs: Any) -> int:
        return formula(*args, out_val=out_val, **kwargs) * (4 if out_val.is_complex() else 1)

    return operations


def _product(a: Any, b: Any, *_: Any, out_val: Tensor, **__: Any) -> int:
    """Return 2 x the real multiplications of a product by element, if one factor is complex."""
    kinds = [isinstance(x, Tensor) and x.is_complex() for x in (a, b)]
    return 2 * out_val.numel() * (4 if all(kinds) else 2) if any(kinds) else 0


def _inner_product(*tensors: Tensor, out_val: Tensor, **_: Any) -> int:
    """Return 2 x the real multiplications: one for each number of the largest, a matrix if any."""
    largest = max(tensor.numel() for tensor in tensors)
    return 2 * largest * (4 if out_val.is_complex() else 1)


def _weighted(matrices: int, x: Tensor, *weights: Any, **_: Any) -> int:
    """Return 2 x the weights of so many matrices for each row of x."""
    return 2 * (x.numel() // x.shape[-1]) * sum(weight.numel() for weight in weights[:matrices])


def _transform(x: Tensor, dims: Sequence[int], *_: Any, out_val: Tensor, **__: Any) -> int:
    real = [z for z in (x, out_val) if not z.is_complex()]
    points, share = (real[0], 2.5) if real else (x, 5.0)
    N = prod(points.shape[dim] for dim in dims)
    return round(share * points.numel() * log2(N))  # numel / N transforms of N log2 N


_MATRIX_PRODUCTS = (aten.mm, aten.addmm, aten.bmm, aten.baddbmm)
FORMULAS: dict[Any, Formula] = {
    **flop_registry,
    **{op: _with_complex(flop_registry[op]) for op in _MATRIX_PRODUCTS},
    **dict.fromkeys((aten.mul, aten.mul_), _product),
    **dict.fromkeys((aten.dot, aten.vdot, aten.mv, aten.addmv), _inner_product),
    aten.mkldnn_rnn_layer: partial(_weighted, 2),  # one layer of an LSTM
    aten._trilinear: _with_complex(partial(_weighted, 1)),  # nn.Bilinear
    **dict.fromkeys((aten._fft_r2c, aten._fft_c2r, aten._fft_c2c), _transform),
}
