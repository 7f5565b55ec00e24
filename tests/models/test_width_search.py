"""Settings at parity: what may vary, and that what is found has the size of the baseline."""

import itertools
import math

import numpy as np
import pytest
import yaml

import networks
from chimera.interface.errors import InputError
from chimera.models import build_model
from chimera.models.forecasting.building import fit_to_data
from chimera.models.parity import count, solve_widths, width_search
from chimera.models.parity.search_space import search_spaces
from workspaces import ROOT

UNET = networks.UNET | {"input_shape": [1, 64, 64], "channels": [8, 16, 32, 64]}
FRACTAL = networks.FRACTAL | {"input_shape": [1, 64, 64], "channels": [8, 12, 20, 72]}
RANGES = {
    "fno": {"width": [2, 24], "modes": [1, 6], "hidden": [1, 90]},
    "convnext_unet": {"channels": [[2, 9], [2, 12], [3, 20, 2]]},
    "dilated_resnet": {"width": [1, 20], "blocks": [1, 3]},
}
BETWEEN = {"fno": [7, 5, 61], "convnext_unet": [5, 11, 17], "dilated_resnet": [13, 3]}


def section(name, **change):
    """Return a section of conf/model/ with change."""
    return yaml.safe_load((ROOT / f"conf/model/{name}.yaml").read_text()) | change


@pytest.mark.parametrize("name", RANGES)
def test_sizes_between_the_counted_ones_are_those_of_a_count(name):
    settings = section(name, input_shape=[2, 16, 16], search=RANGES[name])
    if name == "convnext_unet":
        settings["channels"] = [2, 3, 4]
    (space,) = search_spaces(settings, UNET, "model")
    size_of = width_search._size_formula(settings, space, "model")
    chosen = settings | space.named(BETWEEN[name])
    counted = count(build_model(chosen), (2, 16, 16))
    assert size_of([np.array(number) for number in BETWEEN[name]]) == pytest.approx(counted)
    assert counted != pytest.approx(width_search._size(settings, "model")), "another size"


SCALES = {
    "smoke": ("_smoke", 16),
    "laptop": ("", 64),
    "gpu": ("_medium", 128),
    "large": ("_large", 128),
}


@pytest.mark.parametrize("fields", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_and_number_of_fields_has_widths(scale, fields, monkeypatch):
    """With two conditioning channels, as the study's own; two columns, and three."""
    monkeypatch.setattr(width_search, "_MAX_SOLUTIONS", 1)
    suffix, side = SCALES[scale]

    def fitted(name, **change):
        nulls = section(name, input_shape=[None] * 3, **change)
        return fit_to_data(nulls, (fields, side, side), ["periodic"] * 2, conditioning=2)

    baseline = fitted(f"unet{suffix}")
    wanted = count(build_model(baseline), baseline["input_shape"])
    for columns in (2, 3):
        network = fitted(f"fractal_unet{suffix}", columns=columns)
        (solution,) = solve_widths(network, baseline, 0.05)
        built = build_model(network | solution.settings)
        for size, target in zip(count(built, network["input_shape"]), wanted, strict=True):
            assert size == pytest.approx(target, rel=0.05)


def test_a_declared_search_stays_in_its_ranges_and_begins_with_the_least_change():
    """Every width and depth is counted; the nearest in log2 are those within 30%."""
    ranges = {"width": [2, 12, 2], "blocks": [1, 2]}
    present = {"width": 4, "blocks": 1}
    settings = {"type": "dilated_resnet", "input_shape": [1, 16, 16], "search": ranges, **present}
    params, macs = count(build_model(settings | {"width": 6}), (1, 16, 16))
    expected = []
    for width, blocks in itertools.product(range(2, 13, 2), (1, 2)):
        size = count(build_model(settings | {"width": width, "blocks": blocks}), (1, 16, 16))
        if max(abs(size[0] / params - 1), abs(size[1] / macs - 1)) <= 0.3:
            change = math.sqrt((math.log2(width / 4) ** 2 + math.log2(blocks) ** 2) / 2)
            expected.append((change, width, blocks))
    found = solve_widths(settings, settings | {"width": 6}, 0.3)
    rows = [(s.profile_change, s.settings["width"], s.settings["blocks"]) for s in found]
    assert rows == [(pytest.approx(change), *row) for change, *row in sorted(expected)]
    assert found[0].settings == {"width": 6, "blocks": 1}
    assert len(found) > 1


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({}, r"model.search is {}, expected settings, each with a range"),
        (["width"], r"model.search is \['width'\], expected settings"),
        ({"widht": [1, 9]}, r"model.search has 'widht', expected settings of model: .*width"),
        ({"padding": [1, 9]}, "model.search has 'padding'"),
        ({"width": [9, 1]}, r"model.search.width has \[9, 1\], expected \[lowest, highest\]"),
        ({"width": [0, 4]}, r"model.search.width has \[0, 4\]"),
        ({"width": [1, 4, 0]}, r"model.search.width has \[1, 4, 0\]"),
        ({"width": [1]}, r"model.search.width has \[1\]"),
        ({"width": "wide"}, r"model.search.width has 'wide'"),
        ({"width": [1, True]}, r"model.search.width has \[1, True\]"),
        ({"type": [1, 2]}, r"model.search has 'type'"),
        ({"input_shape": [1, 2]}, r"model.search has 'input_shape'"),
        (
            {"width": [1, 10**5], "blocks": [1, 10**4]},
            "1,000,000,000 combinations, expected at most",
        ),
        ({"width": [40, 50]}, "is met by no width of model, a dilated_resnet, in its search"),
        (None, r"model.search is missing, expected what may vary, such as"),
    ],
)
def test_a_search_that_cannot_be_made_is_one_sentence(search, expected):
    settings = {"type": "dilated_resnet", "input_shape": [1, 16, 16], "width": 4, "blocks": 1}
    with pytest.raises(InputError, match=expected) as caught:
        solve_widths(settings | {"search": search}, UNET, 0.05)
    assert "\n" not in str(caught.value)


def test_a_list_needs_a_range_for_each_element():
    settings = section("convnext_unet", input_shape=[1, 64, 64], search={"channels": [3, 9]})
    with pytest.raises(InputError, match=r"search.channels is \[3, 9\], expected 4 ranges, as"):
        solve_widths(settings, UNET, 0.05)
    settings["search"] = {"channels": [[3, 9], [3, 9], 4, [3, 9]]}
    with pytest.raises(InputError, match=r"search.channels has 4, expected \[lowest, highest\]"):
        solve_widths(settings, UNET, 0.05)


@pytest.mark.parametrize("columns", [2, 3])
def test_solved_widths_are_within_tolerance_by_a_real_count(columns):
    fields = FRACTAL | {"columns": columns}
    solutions = solve_widths(fields, UNET, 0.05)
    assert solutions
    baseline = count(build_model(UNET), (1, 64, 64))
    for solution in solutions:
        built = count(
            build_model(fields | {"channels": solution.settings["channels"]}), (1, 64, 64)
        )
        assert built == (solution.params, solution.macs)
        assert solution.params_gap == pytest.approx(built[0] / baseline[0] - 1)
        assert abs(solution.params_gap) <= 0.05
        assert abs(solution.macs_gap) <= 0.05


def test_an_impossible_tolerance_is_one_sentence():
    with pytest.raises(
        InputError,
        match=r"'tolerance' = 1e-09 is met by no channels of model, a fractal_unet, near",
    ):
        solve_widths(FRACTAL, UNET, 1e-9)


@pytest.mark.parametrize(
    ("widths", "expected"),
    [
        ((1, 2), [[1], [1, 2, 3]]),
        ((8, 16), [[4, 8, 12], [4, 8, 12, 16, 20, 24]]),
        ((16, 600), [[8, 16, 24], list(range(144, 901, 16))]),
        ((64,), [[16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96]]),
    ],
)
def test_lattice_by_hand(widths, expected):
    """Steps of 8, 4, 2 or 1, up to half the narrowest; wider ones where a level has above 512."""
    first, *finer = search_spaces({"channels": ()}, {"channels": widths}, "model")
    assert [values.tolist() for values in first.values] == expected
    assert len(finer) == {1: 0, 8: 2, 16: 3, 64: 3}[widths[0]], "half the step each time, down to 1"
