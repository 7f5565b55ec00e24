"""What `validate` refuses of a model's section before any stage runs, in one sentence."""

import copy
import json

import pytest
import yaml

from chimera.evaluation.settings import RESERVED
from chimera.interface.errors import InputError
from chimera.stages import validate
from chimera.study.error_table import BASELINES
from workspaces import ROOT

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
FNO = {"type": "fno", "width": 4, "modes": 3, "layers": 2, "hidden": 8}
OWN = "examples/own_network"
RESULTS = ("parity", "summary", "stats", "headline", "probes")


def run(monkeypatch, **change):
    """Validate params.yaml with sections in place of its own, and return whether it passed."""
    passed = []
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(validate, "read_params", lambda: copy.deepcopy(PARAMS | change))
    monkeypatch.setattr(validate, "write_deciding", passed.append)
    validate.main()
    return passed == [PARAMS | change]


def with_models(**more):
    shape = PARAMS["data"]["shape"]
    return PARAMS["models"] | {n: {"input_shape": shape} | fields for n, fields in more.items()}


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ([], r"models.mine.search is \[\], expected settings, each with a range"),
        ("width", "models.mine.search is 'width', expected settings"),
        ({"widht": [1, 9]}, "models.mine.search has 'widht', expected settings of models.mine: wi"),
        ({"source": [1, 9]}, "search has 'source', expected settings of models.mine: width, modes"),
        ({"width": []}, r"models.mine.search.width has \[\], expected \[lowest, highest\] or"),
        ({"width": 8}, r"models.mine.search.width has 8, expected \[lowest, highest\]"),
        ({"width": {"from": 1, "to": 9}}, "models.mine.search.width has {'from': 1, 'to': 9}, exp"),
        ({"width": [-4, 8]}, r"mine.search.width has \[-4, 8\], .* of whole numbers from 1"),
        ({"width": [8, 4]}, r"models.mine.search.width has \[8, 4\], expected"),
        ({"width": [4, 8.5]}, r"models.mine.search.width has \[4, 8.5\], expected"),
        ({"width": [1, 10**30]}, r"width has \[1, 10+\], .* of whole numbers from 1 to 1,000,000"),
        (
            {"width": [1, 10**5], "hidden": [1, 10**4]},
            "mine.search has 1,000,000,000 combinations, expected at most 100,000,000: a third",
        ),
    ],
)  # fmt: skip
def test_a_search_space_that_cannot_be_searched(monkeypatch, search, expected):
    mine = FNO | {"source": OWN, "train": {"lr": 1e-3, "weight_decay": 0.0}, "search": search}
    with pytest.raises(InputError, match=expected) as caught:
        run(monkeypatch, models=with_models(mine=mine))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([[4, 8]], r"search.channels is \[\[4, 8\]\], expected 4 ranges, as \[8, 16, 32, 64\] has"),
        ([[4, 8], [8, 16], [16, 32], [64, 9]], r"search.channels has \[64, 9\], expected \[lowest"),
    ],
)
def test_a_list_of_widths_needs_a_range_for_each(monkeypatch, ranges, expected):
    unet = PARAMS["models"]["unet"] | {"channels": [8, 16, 32, 64], "search": {"channels": ranges}}
    with pytest.raises(InputError, match=f"models.wide.{expected}"):
        run(monkeypatch, models=with_models(wide=unet))


def test_the_search_of_every_config_file_is_accepted(monkeypatch):
    sections = {
        path.stem: yaml.safe_load(path.read_text().replace("${data.shape}", "[1, 64, 64]"))
        for path in [*(ROOT / "conf/model").glob("*.yaml"), ROOT / OWN / "two_grids.yaml"]
        if not path.stem.startswith("the_well_")  # no search, and of a package that may be missing
    }
    assert {"fno", "convnext_unet", "two_grids"} <= {
        n for n, s in sections.items() if "search" in s
    }
    assert run(monkeypatch, models=PARAMS["models"] | sections)
    assert run(monkeypatch, models=with_models(fno=FNO | {"search": None}))


@pytest.mark.parametrize("shape", [[1, 64, 64], [1, None, None]])
def test_complex_weights_are_not_compiled(monkeypatch, shape):
    fuse, data = PARAMS["train"] | {"compile": True}, PARAMS["data"] | {"shape": shape}
    models, names = with_models(fno=FNO), list(PARAMS["models"])
    sections = {"train": fuse, "data": data, "models": models}
    assert run(monkeypatch, **sections, model_names=names), "a model that is not studied"
    assert run(monkeypatch, data=data, models=models, model_names=[*names, "fno"])
    with pytest.raises(InputError) as caught:
        run(monkeypatch, **sections, model_names=[*names, "fno"])
    assert str(caught.value) == (
        "models.fno has complex weights, which torch does not compile, "
        "expected train.compile: false"
    )


SOURCE = """
import torch
from torch import nn

class OfNumbers(nn.Module):
    def __init__(self, input_shape, out_channels, padding, width, kind):
        super().__init__()
        start = torch.ones(width).sum().item()  # which no tensor without data has
        self.weight = nn.Parameter(torch.full((width,), start, dtype=getattr(torch, kind)))
"""


@pytest.mark.parametrize("kind", ["complex64", "float32"])
def test_nor_are_those_of_a_network_from_outside(monkeypatch, tmp_path, kind):
    (tmp_path / "of_numbers.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    own = {"type": "of_numbers.OfNumbers", "width": 3, "kind": kind}
    sections = {
        "train": PARAMS["train"] | {"compile": True},
        "models": PARAMS["models"] | {"own": own},
        "model_names": ["unet", "own"],
    }
    if kind == "float32":
        assert run(monkeypatch, **sections)
    else:
        with pytest.raises(InputError, match=r"models\.own has complex weights"):
            run(monkeypatch, **sections)


def test_a_source_that_does_not_exist_is_refused(monkeypatch):
    models = with_models(mine=PARAMS["models"]["unet"] | {"source": "own/nets.py"})
    with pytest.raises(InputError, match=r"models\.mine\.source is 'own/nets.py', expected a file"):
        run(monkeypatch, models=models)


@pytest.mark.parametrize("fields", [[], ["vorticity", "vorticity"]])
def test_fields_are_given_and_differ(monkeypatch, fields):
    with pytest.raises(InputError, match=r"data\.fields is \[.*\], expected at least one name"):
        run(monkeypatch, data=PARAMS["data"] | {"fields": fields})


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("style", "poster", "figures.style is 'poster', expected one of screen, paper"),
        ("field", "density", "figures.field has 'density', expected one of vorticity"),
        ("replicate", 7, "figures.replicate has 7, expected one of 0, 1, 2"),
        ("models", ["fno"], "figures.models has 'fno', expected one of unet, fractal_unet"),
        ("models", [], r"figures.models is \[\], expected"),
        ("colour", "red", "figures has no key 'colour'|figures has unknown key|figures.colour"),
    ],
)
def test_figures_of_what_the_study_does_not_have(monkeypatch, key, value, expected):
    with pytest.raises(InputError, match=expected) as caught:
        run(monkeypatch, figures=PARAMS["figures"] | {key: value})
    assert "\n" not in str(caught.value)


def test_a_section_of_figures_may_be_absent_or_name_what_there_is(monkeypatch):
    assert run(monkeypatch, figures={})
    asked = {"style": "paper", "field": "vorticity", "replicate": 2, "models": ["fractal_unet"]}
    assert run(monkeypatch, figures=asked)


def test_a_model_has_no_name_that_results_give_to_something_else(monkeypatch):
    """Its errors would be a baseline's, or its contrasts a key beside the models'."""
    files = {name: json.loads((ROOT / f"metrics/{name}.json").read_text()) for name in RESULTS}
    taken = {key for found in files.values() for key in found} - PARAMS["models"].keys()
    assert taken | {*BASELINES} == RESERVED
    for name in taken:
        with pytest.raises(
            InputError, match=f"models has '{name}', expected a name that no result"
        ):
            run(monkeypatch, models=PARAMS["models"] | {name: PARAMS["models"]["unet"]})
