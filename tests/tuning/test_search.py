"""The declared search: the same points for every model, inside its ranges, spread over them."""

import math
from pathlib import Path

import pytest
import yaml

from chimera.interface.errors import InputError
from chimera.interface.settings import read_settings
from chimera.tuning.search import Search, draws

DECLARED = yaml.safe_load(Path("tuning/params.yaml").read_text())


def search(**changes):
    return read_settings(DECLARED | changes, "tuning", Search)


def test_every_eighth_of_the_range_of_rates_is_tried_once():
    # A Sobol sequence of 2^3 points has one in each interval of length 1/8 of every coordinate.
    declared = search()
    for name, (low, high) in (("lr", declared.lr), ("weight_decay", declared.weight_decay)):
        shares = [math.log(d[name] / low) / math.log(high / low) for d in draws(declared)]
        assert sorted(math.floor(8 * share) for share in shares) == list(range(8))


def test_draws_have_three_digits_and_follow_from_the_seed():
    points = draws(search())
    assert points == draws(search())
    assert points != draws(search(seed=1))
    assert all(value == float(f"{value:.2e}") for point in points for value in point.values())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"lr": [0.1, 0.001]}, "tuning.lr is [0.1, 0.001], expected a low end below a high"),
        ({"lr": [0.1, 0.1]}, "tuning.lr is [0.1, 0.1], expected a low end below a high"),
        ({"lr": [0.0, 0.1]}, "tuning.lr[0] is 0.0, expected a number above 0"),
        ({"trials": 7}, "tuning.trials is 7, expected a whole number of at least 8"),
        ({"steps": 0}, "tuning.steps is 0, expected"),
        ({"budget": 3}, "tuning.budget is not a known key"),
    ],
)
def test_a_search_that_finds_nothing_is_refused_in_a_sentence(changes, sentence):
    with pytest.raises(InputError) as refused:
        search(**changes)
    assert sentence in str(refused.value)


def test_repeats_of_places_that_no_trial_has_are_refused():
    with pytest.raises(InputError, match=r"repeats.places is \[0, 8\], expected each below 8"):
        search(repeats=DECLARED["repeats"] | {"places": [0, 8]})


def test_repeats_need_a_seed_and_a_longer_training():
    for changes, sentence in (
        ({"seeds": []}, "tuning.repeats.seeds is [], expected one or more"),
        ({"longer": 1}, "tuning.repeats.longer is 1, expected a whole number of at least 2"),
    ):
        with pytest.raises(InputError) as refused:
            search(repeats=DECLARED["repeats"] | changes)
        assert sentence in str(refused.value)
