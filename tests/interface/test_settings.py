"""Settings are read strictly, and a fault names the dotted key, the value and what is expected."""

import json
import math
from typing import Annotated, Any, Literal

import pytest
import yaml
from msgspec import Meta

from chimera.interface.errors import InputError
from chimera.interface.settings import (
    Count,
    Finite,
    Index,
    NotNegative,
    Positive,
    Probability,
    Settings,
    Share,
    as_plain,
    read_settings,
)


class Inner(Settings, frozen=True):
    rate: Finite

    def __post_init__(self):
        if self.rate > 100:
            raise InputError(f"rate is {self.rate}, expected a rate in percent")


class Outer(Settings, frozen=True):
    steps: Count
    first: Index
    name: str
    flag: bool
    kind: Literal["a", "b"]
    pace: Positive
    loss: NotNegative
    share: Share
    chance: Probability
    inner: Inner
    maybe: Inner | None
    many: dict[str, Inner]
    records: tuple[Inner, ...]
    widths: Annotated[tuple[Count, ...], Meta(min_length=2)]
    shape: tuple[Count | None, Count | None]
    edges: tuple[Literal["open", "closed"], ...]
    rest: Any
    optional: int = 7
    note: str | None = None

    def __post_init__(self):
        if self.first >= self.steps:
            raise InputError(f"first is {self.first}, expected less than steps ({self.steps})")


GOOD = {
    "steps": 3,
    "first": 0,
    "name": "x",
    "flag": True,
    "kind": "b",
    "pace": 2,
    "loss": 0,
    "share": 0.5,
    "chance": 0,
    "inner": {"rate": -1},
    "maybe": None,
    "many": {"one": {"rate": 0.5}, "two": {"rate": 1.5}},
    "records": [{"rate": 2}],
    "widths": [1, 2],
    "shape": [None, 4],
    "edges": ["open"],
    "rest": [1, "a"],
}


def test_reads_every_kind_of_field():
    settings = read_settings(GOOD, "train", Outer)
    assert settings == Outer(
        **GOOD
        | {
            "inner": Inner(rate=-1.0),
            "many": {"one": Inner(rate=0.5), "two": Inner(rate=1.5)},
            "records": (Inner(rate=2.0),),
            "widths": (1, 2),
            "shape": (None, 4),
            "edges": ("open",),
        }
    )
    assert (settings.optional, settings.note) == (7, None)
    for number in (settings.pace, settings.loss, settings.chance, settings.inner.rate):
        assert isinstance(number, float)


def test_a_record_is_plain_values_again():
    settings = read_settings(GOOD, "train", Outer)
    plain = yaml.safe_load(yaml.safe_dump(as_plain(settings)))
    assert plain == GOOD | {"optional": 7, "note": None}
    assert json.loads(json.dumps(as_plain(settings))) == plain
    assert as_plain(read_settings(plain, "train", Outer)) == as_plain(settings)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        # of another type
        ({"steps": 1.5}, "steps is 1.5, expected a whole number"),
        ({"steps": 2.0}, "steps is 2.0, expected a whole number"),
        ({"steps": True}, "steps is True, expected a whole number"),
        ({"steps": "3"}, "steps is '3', expected a whole number"),
        ({"optional": None}, "optional is None, expected a whole number"),
        ({"flag": 1}, "flag is 1, expected true or false"),
        ({"name": 3}, "name is 3, expected text"),
        ({"note": 3}, "note is 3, expected text or null"),
        ({"pace": "1e-3"}, "pace is '1e-3', expected a number"),
        ({"pace": True}, "pace is True, expected a number"),
        ({"inner": 3}, "inner is 3, expected a mapping"),
        ({"maybe": 3}, "maybe is 3, expected a mapping or null"),
        ({"many": [1]}, "many is [1], expected a mapping"),
        ({"widths": 3}, "widths is 3, expected a list"),
        # none of the choices
        ({"kind": "c"}, "kind is 'c', expected one of a, b"),
        ({"kind": None}, "kind is None, expected one of a, b"),
        ({"edges": ["open", "ajar"]}, "edges[1] is 'ajar', expected one of open, closed"),
        # out of range
        ({"steps": 0}, "steps is 0, expected a whole number of at least 1"),
        ({"steps": 1 << 31}, "steps is 2147483648, expected a whole number of at most 2147483647"),
        ({"first": -1}, "first is -1, expected a whole number of at least 0"),
        ({"pace": 0}, "pace is 0, expected a number above 0"),
        ({"pace": -2.5}, "pace is -2.5, expected a number above 0"),
        ({"loss": -1e-9}, "loss is -1e-09, expected a number of at least 0"),
        ({"share": 0.0}, "share is 0.0, expected a number above 0"),
        ({"share": 1.0}, "share is 1.0, expected a number below 1"),
        ({"chance": 1.0}, "chance is 1.0, expected a number below 1"),
        ({"widths": [1]}, "widths is [1], expected a list of at least 2"),
        ({"shape": [1, 2, 3]}, "shape is [1, 2, 3], expected a list of 2"),
        # not finite
        ({"inner": {"rate": math.nan}}, "inner.rate is nan, expected a finite number"),
        ({"inner": {"rate": -math.inf}}, "inner.rate is -inf, expected a finite number"),
        ({"pace": math.inf}, "pace is inf, expected a finite number"),
        ({"pace": math.nan}, "pace is nan, expected a number above 0"),
        ({"loss": math.inf}, "loss is inf, expected a finite number"),
        ({"loss": math.nan}, "loss is nan, expected a number of at least 0"),
        ({"share": math.nan}, "share is nan, expected a number above 0"),
        ({"share": math.inf}, "share is inf, expected a number below 1"),
        ({"chance": math.nan}, "chance is nan, expected a number of at least 0"),
        ({"pace": 10**309}, f"pace is {10**309}, expected a finite number"),
        # inside of lists, mappings and records
        ({"widths": [1, "2"]}, "widths[1] is '2', expected a whole number"),
        ({"shape": [1, 0]}, "shape[1] is 0, expected a whole number of at least 1"),
        ({"shape": ["a", 1]}, "shape[0] is 'a', expected a whole number or null"),
        ({"maybe": {"rate": None}}, "maybe.rate is None, expected a number"),
        ({"many": {"a": {"rate": 1}, "b": 3}}, "many.b is 3, expected a mapping"),
        ({"many": {"a": {"rate": 1}, "b": {"rate": "x"}}}, "many.b.rate is 'x', expected a number"),
        ({"records": [{"rate": 1}, {"rate": []}]}, "records[1].rate is [], expected a number"),
        # missing and unknown
        ({"inner": {}}, "inner.rate is missing, expected a value"),
        ({"many": {"b": {}}}, "many.b.rate is missing, expected a value"),
        ({"maybe": {"rat": 1}}, "maybe.rat is not a known key; did you mean rate? expected rate"),
        ({"inner": {"rate": 1, "x": 2}}, "inner.x is not a known key; expected rate"),
        # names that are no text
        ({"many": {3: {"rate": 1}}}, "many has the key 3, expected text"),
        # refused by the record itself
        ({"first": 3}, "first is 3, expected less than steps (3)"),
        ({"inner": {"rate": 101}}, "inner.rate is 101.0, expected a rate in percent"),
        ({"many": {"b": {"rate": 101}}}, "many.b.rate is 101.0, expected a rate in percent"),
        ({"records": [{"rate": 101}]}, "records[0].rate is 101.0, expected a rate in percent"),
    ],
)
def test_a_fault_is_one_sentence(change, sentence):
    with pytest.raises(InputError) as error:
        read_settings(GOOD | change, "train", Outer)
    assert str(error.value) == f"train.{sentence}"
    with pytest.raises(InputError) as error:
        read_settings(GOOD | change, "", Outer)
    assert str(error.value) == sentence


def test_an_unknown_key_names_the_nearest_and_all():
    for name, hint in (("step", "did you mean steps? "), ("unheard_of", "")):
        with pytest.raises(InputError) as error:
            read_settings(GOOD | {name: 1}, "train", Outer)
        names = ", ".join(Outer.__struct_fields__)
        assert str(error.value) == f"train.{name} is not a known key; {hint}expected {names}"


def test_a_missing_key_is_named():
    for name in GOOD:
        with pytest.raises(InputError, match=rf"^train\.{name} is missing, expected a value$"):
            read_settings({k: v for k, v in GOOD.items() if k != name}, "train", Outer)


def test_a_section_that_is_no_mapping_of_names_is_named():
    with pytest.raises(InputError, match=r"^train is \[1\], expected a mapping$"):
        read_settings([1], "train", Outer)
    with pytest.raises(InputError, match=r"^params\.yaml is None, expected a mapping$"):
        read_settings(None, "", Outer)
    with pytest.raises(InputError, match=r"^train has the key 3, expected text$"):
        read_settings(GOOD | {3: 1}, "train", Outer)


def test_a_record_cannot_be_changed():
    settings = read_settings(GOOD, "train", Outer)
    with pytest.raises(AttributeError):
        settings.steps = 4
