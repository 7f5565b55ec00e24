"""A network by its import path: what it is given, and the sentence of each that is refused."""

import sys

import pytest
import torch

from chimera.interface.errors import InputError
from chimera.models import build_model
from chimera.models.forecasting.building import check_model, fit_to_data
from chimera.models.parity.admission import admit

SOURCE = """
import torch
from torch import nn

class Conv(nn.Module):
    def __init__(self, input_shape, out_channels, width=4):
        super().__init__()
        self.given = input_shape, out_channels
        self.body = nn.Conv2d(input_shape[0], width, 1)
        self.head = nn.Conv2d(width, out_channels, 1)
    def forward(self, x):
        return self.head(self.body(x))

class Padded(Conv):
    def __init__(self, input_shape, padding, **rest):
        super().__init__(input_shape, 1, **rest)
        self.given = padding

class Random(Conv):
    def forward(self, x):
        return super().forward(x + torch.randn_like(x))

class Remembers(Conv):
    def forward(self, x):
        last, self.last = getattr(self, "last", 0), x
        return super().forward(x + last)

class Larger(Conv):
    def forward(self, x):
        return super().forward(nn.functional.pad(x, (1, 1)))

class Complex(Conv):
    def forward(self, x):
        return torch.complex(*2 * [super().forward(x)])

class Pair(Conv):
    def forward(self, x):
        return super().forward(x), x

class Double(Conv):
    def forward(self, x):
        return super().forward(x).double()

class Fails(Conv):
    def forward(self, x):
        raise RuntimeError("no such\\nweather")

class Unbuilt(nn.Module):
    def __init__(self):
        raise OSError("no file")

class Bare(nn.Module):
    def forward(self, x):
        return x[:, :1]

class Exits(Conv):
    def forward(self, x):
        raise SystemExit(0)

class Unbuildable(Conv):
    def __init__(self, input_shape, out_channels):
        raise SystemExit(0)

class Drawn(Conv):
    def __init__(self, input_shape, out_channels):
        super().__init__(input_shape, out_channels)
        self.register_buffer("scale", 1 + torch.rand(()), persistent=False)
    def forward(self, x):
        return self.scale * super().forward(x)

class DrawnAttribute(Drawn):
    def __init__(self, input_shape, out_channels):
        super().__init__(input_shape, out_channels)
        del self.scale
        self.scale = 1 + torch.rand(())

class Kept(Drawn):
    def __init__(self, input_shape, out_channels):
        super().__init__(input_shape, out_channels)
        self.register_buffer("scale", 1 + torch.rand(()))

class Constant(Drawn):
    def __init__(self, input_shape, out_channels):
        super().__init__(input_shape, out_channels)
        self.scale.fill_(2)

class BeginsAtZero(Drawn):
    def __init__(self, input_shape, out_channels):
        super().__init__(input_shape, out_channels)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

class Renamed(Conv):
    def __init__(self, input_shape, out_channels):
        super().__init__(input_shape, out_channels)
        self.add_module(f"part{torch.randint(1 << 60, ())}", nn.Conv2d(1, 1, 1))

class Whole(Conv):
    def __init__(self, input_shape, out_channels):
        super().__init__(input_shape, out_channels)
        self.order = nn.Parameter(torch.ones(3, dtype=torch.long), requires_grad=False)

class Lazy(Conv):
    def __init__(self, input_shape, out_channels):
        super().__init__(input_shape, out_channels)
        self.body = nn.LazyConv2d(4, 1)

class InPlace(Conv):
    def forward(self, x):
        return super().forward(x.mul_(2))

class NotANumber(Conv):
    def forward(self, x):
        return super().forward(x) * torch.nan

class Centred(Conv):
    def forward(self, x):
        return super().forward(x - x.mean(0, keepdim=True))

class TimesBatch(Conv):
    def forward(self, x):
        return super().forward(x) * len(x)

class OfTheBatch(Conv):
    def __init__(self, input_shape, out_channels):
        super().__init__(input_shape, out_channels)
        self.norm = nn.BatchNorm2d(input_shape[0], track_running_stats=False)
    def forward(self, x):
        return super().forward(self.norm(x))

class OnlyPairs(Conv):
    def forward(self, x):
        return super().forward(x.view(2, *x.shape[1:]))

class FailsInTraining(Conv):
    def forward(self, x):
        if self.training:
            raise ValueError("no teacher")
        return super().forward(x)

class PairInTraining(Conv):
    def forward(self, x):
        y = super().forward(x)
        return (y, x) if self.training else y

class Normed(Conv):
    def __init__(self, input_shape, out_channels):
        super().__init__(input_shape, out_channels)
        self.norm, self.drop = nn.BatchNorm2d(out_channels), nn.Dropout(0.5)
    def forward(self, x):
        return self.drop(self.norm(super().forward(x)))

class Twice(Conv):
    def forward(self, x):
        return self.head(self.body(x) + self.body(2 * x))

class NoModule:
    pass

def function(width):
    return nn.Identity()
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Return the settings of a class of a package that lies in a folder below."""
    package = tmp_path / "elsewhere/outside"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "nets.py").write_text(SOURCE)
    (package / "broken.py").write_text("def f(:\n")
    (package / "exits.py").write_text("raise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [name for name in sys.modules if name.startswith("outside")]:
        monkeypatch.delitem(sys.modules, name)

    def settings(name, **more):
        return {"type": f"outside.nets.{name}", "source": "elsewhere/outside", **more}

    return settings


def fitted(settings, boundary=("periodic", "periodic")):
    return fit_to_data(settings, (1, 8, 12), boundary, "models.mine", conditioning=2)


def test_a_class_gets_its_arguments_and_what_the_data_decide(own):
    section = own("Conv", width=6, train={"lr": 1e-3}, sites=["body"], search={"width": [1, 9]})
    check_model(section, "models.mine")
    settings = fitted(section)
    assert not settings.keys() & {"train", "search"}
    network = build_model(settings)
    assert network.given == ((3, 8, 12), 1)
    assert network.body.out_channels == 6
    assert build_model(fitted(own("Padded"), ("periodic", "open"))).given == (
        "circular",
        "replicate",
    )
    assert admit(settings, 1, "models.mine").body.out_channels == 6


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"type": "outside.nets.Nothing"}, "AttributeError: module 'outside.nets' has no"),
        ({"type": "outside.nothing.Conv"}, "No module named 'outside.nothing'"),
        ({"type": "outside.broken.Conv"}, "can be imported: SyntaxError: invalid syntax"),
        ({"type": ["unet"]}, r"type is \['unet'\], expected one of unet, .*, or the import path"),
        ({"type": {"a": 1}}, r"type is {'a': 1}, expected one of unet, .*, or the import path"),
        ({"type": "outside.exits.Conv"}, "can be imported: SystemExit: 3"),
        ({"type": "vit"}, r"type is 'vit', expected one of unet, .*, or the import path"),
        ({"type": "os..path"}, r"type is 'os..path', expected one of unet"),
        ({"type": "outside.nets.NoModule"}, "expected a class of torch.nn.Module"),
        ({"type": "outside.nets.function"}, "expected a class of torch.nn.Module"),
        ({"wide": 3}, r"mine holds {'wide': 3, .*}, expected the arguments of outside.nets.Conv\("),
        ({"sites": ["tail"]}, r"mine.sites has 'tail', expected names of modules: body, head"),
        ({"sites": "body"}, "mine.sites is 'body', expected a list of names of modules"),
        ({"width": "x"}, "outside.nets.Conv cannot be built of"),
    ],
)  # fmt: skip
def test_settings_that_make_no_network(own, change, expected):
    with pytest.raises(InputError, match=expected) as caught:
        build_model(
            fitted(own("Conv") | change) if "type" not in change else own("") | change, "mine"
        )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Larger", r"output float32 of shape \(2, 1, 8, 14\), expected .* \(2, 1, 8, 12\)"),
        ("Complex", r"output complex64 of shape"),
        ("Pair", "output tuple, expected float32 of"),
        ("Double", r"output float64 of shape .*, expected float32 of"),
        ("Random", "output is random in evaluation mode"),
        ("Remembers", "output depends on an earlier call"),
        ("Fails", "fails on an input of shape .2, 3, 8, 12.: RuntimeError: no such weather"),
        ("Unbuilt", "Unbuilt cannot be built of {}: OSError: no file"),
        ("Bare", "without a parameter to train"),
        ("Exits", r"fails on an input of shape \(2, 3, 8, 12\): SystemExit: 0"),
        ("Unbuildable", "Unbuildable cannot be built of {.*}: SystemExit: 0"),
        ("Drawn", "checkpoint is another function: what it draws must be a parameter or a pers"),
        ("DrawnAttribute", "checkpoint is another function"),
        ("BeginsAtZero", "checkpoint is another function"),
        ("Renamed", "checkpoint cannot be read: RuntimeError: Error.s. in loading"),
        ("Whole", "with a parameter of whole numbers, expected a buffer"),
        ("Lazy", "with shapes that its first input decides, expected them given"),
        ("InPlace", "that changes its input in place"),
        ("NotANumber", "output is not finite, expected numbers"),
        ("Centred", "output depends on the other samples of a batch"),
        ("TimesBatch", "output depends on the other samples of a batch"),
        ("OfTheBatch", "output depends on the other samples of a batch"),
        ("OnlyPairs", r"fails on an input of shape \(1, 3, 8, 12\): RuntimeError"),
        ("FailsInTraining", "in training mode that fails on an input .* ValueError: no teacher"),
        ("PairInTraining", "in training mode with an output tuple, expected float32 of"),
    ],
)
def test_networks_that_are_no_function_of_the_frame(own, name, expected):
    with pytest.raises(InputError, match=expected) as caught:
        admit(fitted(own(name)), 1, "models.mine")
    assert str(caught.value).startswith("models.mine")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["Constant", "Kept", "Normed"])
def test_a_function_is_admitted_as_it_was_built_and_draws_no_more(own, name):
    """Constants, what a checkpoint keeps, and what training changes: moments and random masks."""
    settings = fitted(own(name))
    torch.manual_seed(1)
    built = build_model(settings)
    torch.randn(2, 3, 8, 12)  # the input on which it is tried
    following = torch.rand(())
    torch.manual_seed(1)
    admitted = admit(settings, 1, "models.mine")
    assert torch.equal(torch.rand(()), following)
    for key, value in built.state_dict().items():
        assert torch.equal(admitted.state_dict()[key], value), key
    assert all(module.training for module in admitted.modules())


def test_one_too_large_is_counted_without_its_memory(own):
    width = 1 << 40
    with pytest.raises(InputError, match=rf"has {3 * width + width + width + 1:,} parameters"):
        admit(fitted(own("Conv", width=width)), 1, "models.mine")


@pytest.mark.parametrize("kind", [["unet"], {"a": 1}, None])
def test_a_type_that_is_no_text_is_one_sentence_at_the_gate(kind):
    with pytest.raises(InputError, match=r"models.mine.type is .*, expected one of unet"):
        admit(fitted({"type": kind}), 1, "models.mine")


def test_a_site_is_called_once(own):
    with pytest.raises(InputError, match="site 'body' is called 2 times in a forward pass"):
        admit(fitted(own("Twice", sites=["body"])), 1, "models.mine")
