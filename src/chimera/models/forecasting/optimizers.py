"""torch's optimizers without its compiler, which each loads, 0.7 s, to be left out of graphs."""

from inspect import unwrap
from typing import TypeVar

import torch
from torch.optim import Optimizer

_Kind = TypeVar("_Kind", bound=Optimizer)
_LEFT_OUT = "add_param_group", "zero_grad", "state_dict", "load_state_dict"


def _uncompiled(kind: type[_Kind]) -> type[_Kind]:
    """Return an optimizer that computes the same; a step of it cannot itself be compiled."""
    plain = {name: unwrap(getattr(kind, name)) for name in _LEFT_OUT}
    return type(kind.__name__, (kind,), plain | {"step": torch.no_grad()(unwrap(kind.step))})


AdamW, LBFGS = _uncompiled(torch.optim.AdamW), _uncompiled(torch.optim.LBFGS)
