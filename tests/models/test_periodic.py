"""The periodic convolution against torch's own circular padding, in values and gradients."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from chimera.models.networks.layers import GroupNorm
from chimera.models.networks.periodic import PeriodicConv2d, wrap


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_those_of_circular_padding(kernel_size, memory_format):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 6, 8, generator=generator, dtype=torch.float64)
    ours = PeriodicConv2d(3, 4, kernel_size).double()
    torchs = nn.Conv2d(
        3, 4, kernel_size, padding=kernel_size // 2, padding_mode="circular"
    ).double()
    torchs.load_state_dict(ours.state_dict())
    results = []
    for module in (ours, torchs):
        field = x.to(memory_format=memory_format).clone().requires_grad_()
        output = module(field)
        output.sin().sum().backward()
        results.append((output, field.grad, module.weight.grad, module.bias.grad))
        module.zero_grad()
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_gradients_agree_with_finite_differences():
    module = PeriodicConv2d(2, 3, 3).double()
    x = torch.randn(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (x,))


def test_wrap_continues_the_field():
    x = torch.arange(2 * 3 * 4.0).reshape(1, 2, 3, 4)
    for width in (1, 2, 3):
        expected = functional.pad(x, (width,) * 4, mode="circular")
        assert torch.equal(wrap(x, width), expected)


def test_autocast_and_compile_work_on_the_cpu():
    module = PeriodicConv2d(2, 3, 3)
    x = torch.randn(1, 2, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = module(x)
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), module(x), rtol=0.05, atol=0.05)


def test_shapes_are_known_where_nothing_is_computed():
    with torch.device("meta"):
        output = PeriodicConv2d(2, 3, 3)(torch.zeros(1, 2, 8, 8))
    assert output.is_meta
    assert output.shape == (1, 3, 8, 8)


@pytest.mark.parametrize("channels", [1, 3, 8, 24])
def test_group_norm_is_torch_s(channels):
    ours, torchs = GroupNorm(channels).double(), nn.GroupNorm(1, channels).double()
    nn.init.normal_(ours.weight)
    nn.init.normal_(ours.bias)
    torchs.load_state_dict(ours.state_dict())
    x = torch.randn(3, channels, 6, 8, dtype=torch.float64)
    torch.testing.assert_close(ours(x), torchs(x), rtol=1e-12, atol=1e-12)
