"""Open edges, odd grids and rectangles: what is padded, what is counted, what stays as it was."""

import numpy as np
import pytest
import torch
from torch.nn import functional

import networks
from chimera.interface.errors import InputError
from chimera.models import build_model
from chimera.models.forecasting.building import check_model, fit_to_data
from chimera.models.networks.padding import PaddedConv2d, enlarge, extend
from chimera.models.networks.periodic import PeriodicConv2d
from chimera.models.parity.counting import count
from chimera.models.parity.graph import is_same_graph

UNET = networks.UNET | {"channels": [4, 8, 16]}
FRACTAL = networks.FRACTAL | {"channels": [4, 8, 16]}


@pytest.mark.parametrize(("dim", "axis"), [(2, -2), (3, -1)])
@pytest.mark.parametrize(("padding", "mode"), [("circular", "wrap"), ("replicate", "edge")])
def test_extension_is_that_of_numpy(dim, axis, padding, mode):
    x = torch.randn(2, 3, 5, 7)
    widths = [(0, 0)] * 4
    widths[axis] = (2, 4)
    expected = np.pad(x.numpy(), widths, mode=mode)
    np.testing.assert_array_equal(extend(x, dim, 2, 4, padding).numpy(), expected)


@pytest.mark.parametrize("padding", [("circular", "replicate"), ("replicate", "replicate")])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_convolution_and_gradient_are_torch_s_own(padding, kernel):
    conv = PaddedConv2d((2, 3, kernel), padding).double()
    x = torch.randn(2, 2, 6, 9, dtype=torch.float64, requires_grad=True)
    p = kernel // 2
    framed = functional.pad(x, (0, 0, p, p), mode=padding[0]) if p else x
    framed = functional.pad(framed, (p, p, 0, 0), mode=padding[1]) if p else framed
    expected = functional.conv2d(framed, conv.weight, conv.bias)
    torch.testing.assert_close(conv(x), expected)
    weights = torch.randn_like(expected)
    (ours,) = torch.autograd.grad((conv(x) * weights).sum(), x)
    (theirs,) = torch.autograd.grad((expected * weights).sum(), x)
    torch.testing.assert_close(ours, theirs)


def test_periodic_padding_of_both_axes_is_the_fast_convolution():
    conv = build_model(UNET).get_submodule("encoder0.first.conv")
    assert type(conv) is PeriodicConv2d
    slow = PaddedConv2d((1, 4, 3), ("circular", "circular"))
    slow.load_state_dict(conv.state_dict())
    x = torch.randn(2, 1, 16, 16)
    torch.testing.assert_close(slow(x), conv(x))
    open_ended = build_model(UNET | {"padding": ["circular", "replicate"]})
    assert type(open_ended.get_submodule("encoder0.first.conv")) is PaddedConv2d


@pytest.mark.parametrize("settings", [UNET, FRACTAL])
@pytest.mark.parametrize("shape", [[1, 16, 24], [2, 18, 13], [3, 5, 7]])
@pytest.mark.parametrize("padding", [["circular", "circular"], ["circular", "replicate"]])
def test_any_rectangle_keeps_its_shape_and_is_counted_as_run(settings, shape, padding):
    settings = settings | {"input_shape": shape, "padding": padding}
    network = build_model(settings).eval()
    x = torch.randn(2, *shape)
    with torch.no_grad():
        assert network(x).shape == x.shape
    params, macs = count(network, shape)
    checked = check_model(settings, "model")
    assert all(a % 4 == 0 and 0 <= a - b < 4 for a, b in zip(checked.grid, shape[1:], strict=True))
    assert (params, macs) == networks.closed_form(checked)
    larger = count(network, (shape[0], *checked.grid))
    assert macs == larger[1]


def test_an_enlarged_field_lies_in_the_middle():
    x = torch.arange(5.0).reshape(1, 1, 5, 1).expand(1, 1, 5, 4)
    larger, rows, columns = enlarge(x, (8, 4), ("circular", "circular"))
    assert larger[0, 0, :, 0].tolist() == [4.0, 0.0, 1.0, 2.0, 3.0, 4.0, 0.0, 1.0]
    assert torch.equal(larger[:, :, rows, columns], x)
    edges, _, _ = enlarge(x, (8, 4), ("replicate", "circular"))
    assert edges[0, 0, :, 0].tolist() == [0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 4.0, 4.0]


def test_an_open_edge_sees_nothing_of_the_other_one():
    """A change at one edge reaches the opposite edge of a periodic axis, and of no open one."""
    network = build_model(UNET | {"norm": "none", "padding": ["replicate", "circular"]}).eval()
    x = torch.zeros(1, 1, 64, 64)
    moved = x.clone()
    moved[..., 0, :] = 1.0
    with torch.no_grad():
        change = (network(moved) - network(x)).abs()
    assert change[0, 0, -1].max() == 0
    with torch.no_grad():
        change = (network(moved.mT) - network(x)).abs()
    assert change[0, 0, :, -1].max() > 0


def test_two_models_on_an_odd_grid_are_told_apart():
    shape = [1, 18, 13]
    one, other = (build_model(s | {"input_shape": shape}) for s in (UNET, FRACTAL))
    assert is_same_graph(one, build_model(UNET | {"input_shape": shape}), shape)
    assert not is_same_graph(one, other, shape)


def test_a_null_is_what_the_data_have():
    settings = UNET | {"input_shape": [None, None, None]}
    complete = fit_to_data(settings, (2, 18, 13), ("periodic", "open"))
    assert complete["input_shape"] == [2, 18, 13]
    assert complete["padding"] == ["circular", "replicate"]
    assert fit_to_data(UNET, (1, 16, 16), ("periodic", "periodic")) == UNET
    chosen = fit_to_data(UNET | {"padding": ["circular"] * 2}, (1, 16, 16), ("open", "open"))
    assert chosen["padding"] == ["circular", "circular"]
    with pytest.raises(InputError, match=r"is \[1, 16, 16\], expected \[2, 16, 16\] as the data"):
        fit_to_data(UNET, (2, 16, 16), ("periodic", "periodic"))
    with pytest.raises(InputError, match=r"^model\.padding\[0\] is 'zero', expected one of circ"):
        build_model(UNET | {"padding": ["zero", "zero"]})
