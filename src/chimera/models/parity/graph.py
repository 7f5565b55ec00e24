"""Comparison of the expressions that two networks compute of input and parameters.

Each network is traced to the tensor operations of one evaluation. The digest of an operation is
that of its name, its constants and the digests of its inputs (a Merkle tree). Parameters count by
shape, not by name or value, and sums and products regardless of order. Two networks are the same
graph when they have parameters of the same shapes and outputs of the same digest.
"""

import copy
import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call, functionalize
from torch.fx.experimental.proxy_tensor import make_fx

from chimera.models.parity.counting import zero_sample

_COMMUTATIVE = {torch.ops.aten.add.Tensor, torch.ops.aten.mul.Tensor}


def is_same_graph(first: nn.Module, second: nn.Module, input_shape: Sequence[int]) -> bool:
    """Return whether two networks of one input (C, H, W) are the same architecture."""
    shapes, others = (sorted(tuple(p.shape) for p in m.parameters()) for m in (first, second))
    return shapes == others and _digest(first, input_shape) == _digest(second, input_shape)


def _digest(model: nn.Module, input_shape: Sequence[int]) -> str:
    model = copy.deepcopy(model).eval()
    state: dict[str, Tensor] = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    inputs = zero_sample(model, input_shape)

    def evaluate(state: dict[str, Tensor], inputs: Tensor) -> Tensor:
        return functional_call(model, state, (inputs,))

    with torch.no_grad():
        # Functionalised, so that operations in place are inputs of those that read their result.
        traced = make_fx(evaluate, tracing_mode="fake")(state, inputs)
        graph = make_fx(functionalize(traced), tracing_mode="fake")(state, inputs).graph
    return _expression(graph)


def _expression(graph: fx.Graph) -> str:
    digests: dict[fx.Node, str] = {}

    def describe(argument: Any) -> str:
        if isinstance(argument, fx.Node):
            return digests[argument]
        if isinstance(argument, list | tuple):
            return f"({','.join(map(describe, argument))})"
        return repr(argument)

    for node in graph.nodes:
        arguments = [describe(argument) for argument in node.args]
        if node.target in _COMMUTATIVE:
            arguments.sort()
        keywords = sorted((name, describe(value)) for name, value in node.kwargs.items())
        described = f"{node.op} {node.target} {arguments} {keywords}"
        if node.op == "placeholder":
            described = f"input {tuple(node.meta['val'].shape)}"
        digests[node] = hashlib.sha256(described.encode()).hexdigest()
    return digests[node]
