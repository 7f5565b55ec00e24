"""Reading and replacing activations leaves the network unchanged; errors name their cause."""

import pytest
import torch
from torch import nn

import networks
from chimera.interface.errors import InputError
from chimera.models import build_model
from chimera.models.forecasting.stepping import evaluation_mode
from chimera.models.networks.site import Site
from chimera.probes.common.activations import capture, patched, site_names

FRACTAL = networks.FRACTAL | {
    "channels": [4, 6],
    "norm": "batch",
    "dropout": 0.5,
    "drop_path": 0.5,
}


class Fork(nn.Module):
    """y = 2 a + 3 b with a, b = z on two edges of one activation z = x + 1."""

    def __init__(self):
        super().__init__()
        self.a, self.b = Site(), Site()

    def forward(self, x):
        z = x + 1
        return 2 * self.a(z) + 3 * self.b(z)


class InPlace(nn.Module):
    """Overwrites its site's activation in place."""

    def __init__(self):
        super().__init__()
        self.site = Site()

    def forward(self, x):
        return self.site(x + 0).mul_(0)


def hooks(model):
    return sum(len(module._forward_hooks) for module in model.modules())


def test_an_edge_is_replaced_without_its_sibling():
    x = torch.tensor([[1.0]])
    model = Fork()
    with patched(model, {"a": torch.tensor([[10.0]])}):
        assert model(x).item() == 2 * 10 + 3 * 2
    with patched(model, {"a": torch.tensor([[10.0]]), "b": torch.tensor([[0.0]])}):
        assert model(x).item() == 20
    assert model(x).item() == 2 * 2 + 3 * 2


def test_captured_is_what_passed_however_it_is_used_later():
    x = torch.tensor([[1.0, -2.0]])
    model = InPlace()
    captured = capture(model, ["site"], x)
    torch.testing.assert_close(captured["site"], x, rtol=0, atol=0)
    with patched(model, captured):
        assert not model(x).any()
    torch.testing.assert_close(captured["site"], x, rtol=0, atol=0)


def test_capture_is_in_evaluation_mode_and_without_gradients():
    torch.manual_seed(0)
    model = build_model(FRACTAL).train()
    statistics = {name: value.clone() for name, value in model.named_buffers()}
    x = torch.randn(2, 1, 16, 16)
    first, second = (capture(model, site_names(model), x) for _ in range(2))
    assert set(first) == set(site_names(model))
    for name in first:
        assert torch.equal(first[name], second[name])  # neither dropout nor drop-path
        assert not first[name].requires_grad
    for name, value in model.named_buffers():
        assert torch.equal(value, statistics[name]), name


@pytest.mark.parametrize("fails", [False, True])
def test_everything_is_restored(fails):
    model = build_model(FRACTAL).train()
    model.bottleneck.eval()  # a mixture of modes is restored
    modes = [module.training for module in model.modules()]
    x = torch.randn(1, 1, 16, 16)
    activations = capture(model, ["skip0"], x)
    assert hooks(model) == 0
    try:
        with patched(model, activations):
            assert hooks(model) == 1
            assert not any(module.training for module in model.modules())
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert fails
    assert hooks(model) == 0
    assert [module.training for module in model.modules()] == modes


def test_a_failing_forward_is_cleaned_up():
    model = build_model(FRACTAL).train()
    with pytest.raises(RuntimeError):
        capture(model, ["skip0"], torch.randn(1, 3, 16, 16))  # a channel count it cannot take
    assert hooks(model) == 0
    assert all(module.training for module in model.modules())


def test_a_column_of_the_fractal_is_half_of_its_block():
    model = build_model(FRACTAL)
    x = torch.randn(2, 1, 16, 16)
    sites = ["encoder0.column1", "encoder0.column2", "encoder0"]
    column1, column2, block = (capture(model, sites, x)[site] for site in sites)
    torch.testing.assert_close((column1 + column2) / 2, block)
    with patched(model, {"encoder0.column1": torch.zeros_like(column1)}):
        inside = capture(model, ["encoder0"], x)["encoder0"]
    torch.testing.assert_close(inside, column2 / 2)


def test_misspelt_site_lists_the_valid_ones():
    model = build_model(FRACTAL)
    x = torch.randn(1, 1, 16, 16)
    with pytest.raises(InputError, match=r"'skip9' is not a site, expected one of .*skip0.*up0"):
        capture(model, ["skip0", "skip9"], x)
    with (
        pytest.raises(InputError, match="'head' is not a site"),
        patched(model, {"head": x}),
    ):
        pass
    assert hooks(model) == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_activations_that_are_not_finite_name_the_site(value):
    model = build_model(FRACTAL | {"norm": "group"})  # which leaves a bias
    model.expand0.bias.data[0] = value
    with pytest.raises(InputError, match=r"site 'up0' hold 512 values that are NaN or infinite"):
        capture(model, ["encoder0", "up0"], torch.randn(2, 1, 16, 16))


def test_replacement_of_another_shape():
    model = Fork()
    expected = r"site 'b' has shape \(1, 2\), expected that of the activation, \(1, 1\)"
    with pytest.raises(InputError, match=expected), patched(model, {"b": torch.zeros(1, 2)}):
        model(torch.zeros(1, 1))
    assert hooks(model) == 0


def test_sites_are_the_identities_in_the_order_of_the_modules():
    columns = [f"column{c}" for c in (1, 2)]

    def block(name):
        return [name, *(f"{name}.{column}" for column in columns)]

    expected = [
        *block("encoder0"),
        "skip0",
        "down0",
        *block("bottleneck"),
        "up0",
        *block("decoder0"),
    ]
    assert list(site_names(build_model(FRACTAL))) == expected
    assert site_names(nn.Sequential(nn.Dropout(0.0), Site())) == ("1",)


def test_evaluation_mode_after_an_error():
    model = nn.Sequential(nn.Dropout(), nn.Dropout().eval())

    def fail_inside():
        with evaluation_mode(model):
            assert not model[0].training
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_inside()
    assert model.training
    assert model[0].training
    assert not model[1].training
