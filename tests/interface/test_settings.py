"""Settings are read strictly, and a fault names the dotted key."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from chimera.interface.errors import InputError
from chimera.interface.settings import read_settings


@dataclass(frozen=True)
class Inner:
    rate: float


@dataclass(frozen=True)
class Outer:
    steps: int
    name: str
    flag: bool
    kind: Literal["a", "b"]
    inner: Inner
    maybe: Inner | None
    many: dict[str, Inner]
    widths: tuple[int, ...]
    rest: Any
    optional: int = 7


GOOD = {
    "steps": 3,
    "name": "x",
    "flag": True,
    "kind": "b",
    "inner": {"rate": 1},
    "maybe": None,
    "many": {"one": {"rate": 0.5}},
    "widths": [1, 2],
    "rest": [object],
}


def test_reads_every_kind_of_field():
    settings = read_settings(GOOD, "train", Outer)
    assert settings == Outer(
        3, "x", True, "b", Inner(1.0), None, {"one": Inner(0.5)}, (1, 2), [object], 7
    )
    assert isinstance(settings.inner.rate, float)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"step": 1}, r"train\.step is not a known key; did you mean steps\? expected steps, name"),
        ({"steps": 1.5}, r"train\.steps is 1\.5, expected a whole number"),
        ({"steps": True}, r"train\.steps is True, expected a whole number"),
        ({"flag": 1}, r"train\.flag is 1, expected true or false"),
        ({"name": 3}, r"train\.name is 3, expected text"),
        ({"kind": "c"}, r"train\.kind is 'c', expected one of a, b"),
        ({"inner": {"rate": "fast"}}, r"train\.inner\.rate is 'fast', expected a number"),
        ({"inner": {"rate": math.nan}}, r"train\.inner\.rate is nan, expected a number"),
        ({"inner": {}}, r"train\.inner\.rate is missing, expected a number"),
        ({"inner": 3}, r"train\.inner is 3, expected a mapping"),
        ({"maybe": {"rat": 1}}, r"train\.maybe\.rat is not a known key; did you mean rate"),
        ({"maybe": 3}, r"train\.maybe is 3, expected a mapping"),
        ({"many": {"one": {"rate": None}}}, r"train\.many\.one\.rate is None"),
        ({"many": {"one": {"rate": True}}}, r"train\.many\.one\.rate is True, expected a number"),
        ({"optional": None}, r"train\.optional is None, expected a whole number"),
        ({"unheard_of": 1}, r"train\.unheard_of is not a known key; expected steps"),
        ({"widths": [1, "2"]}, r"train\.widths\[1\] is '2', expected a whole number"),
        ({"widths": 3}, r"train\.widths is 3, expected a list, each entry a whole number"),
    ],
)
def test_a_fault_is_one_sentence(change, words):
    with pytest.raises(InputError, match=words):
        read_settings(GOOD | change, "train", Outer)


def test_a_section_that_is_no_mapping_is_named():
    with pytest.raises(InputError, match=r"^train is \[1\], expected a mapping$"):
        read_settings([1], "train", Outer)
    with pytest.raises(InputError, match=r"^params\.yaml is None, expected a mapping$"):
        read_settings(None, "", Outer)


def test_a_missing_key_is_named():
    with pytest.raises(InputError, match=r"^steps is missing, expected a whole number$"):
        read_settings({k: v for k, v in GOOD.items() if k != "steps"}, "", Outer)
