"""torch's optimizers without its compiler: the same numbers, and nothing of it is loaded."""

import subprocess
import sys

import pytest
import torch

from chimera.models.forecasting import optimizers

STEP = """
import sys, torch
from chimera.models.forecasting import optimizers
for kind in {kinds}:
    x = torch.ones(3, requires_grad=True)
    optimizer = kind([x])
    def loss():
        optimizer.zero_grad()
        value = (x**2).sum()
        value.backward()
        return value
    optimizer.step(loss)
    optimizer.load_state_dict(optimizer.state_dict())
    assert (x < 1).all()
print("torch._dynamo" in sys.modules)
"""


@pytest.mark.parametrize("module", ["optimizers", "torch.optim"])
def test_the_compiler_is_not_loaded(module):
    kinds = f"{module}.AdamW, {module}.LBFGS"
    done = subprocess.run(
        [sys.executable, "-c", STEP.format(kinds=kinds)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(module == "torch.optim"), "torch loads it by itself"


def path_of(kind, **options):
    """Return where four steps lead, the last two from the state of the first two."""
    x = torch.tensor([3.0, -2.0, 0.5], requires_grad=True)
    optimizer = kind([x], **options)

    def loss():
        optimizer.zero_grad()
        value = ((x**2 - 1) ** 2).sum() + (x[0] * x[1]).cos()
        value.backward()
        return value

    path = []
    for number in range(4):
        if number == 2:
            state = optimizer.state_dict()
            optimizer = kind([x], **options)
            optimizer.load_state_dict(state)
        optimizer.step(loss)
        path.append(x.detach().clone())
    return torch.stack(path)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("AdamW", {"lr": 0.1, "fused": True}),
        ("AdamW", {"lr": 0.1, "weight_decay": 0.3}),
        ("LBFGS", {"max_iter": 3, "line_search_fn": "strong_wolfe"}),
    ],
)
def test_steps_are_torch_s_to_the_last_bit(kind, options):
    path = path_of(getattr(optimizers, kind), **options)
    assert torch.equal(path, path_of(getattr(torch.optim, kind), **options))
    assert len(torch.unique(path, dim=0)) == 4
