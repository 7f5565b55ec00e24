"""Sections of params.yaml as frozen records that declare their bounds.

The fields of a subclass of `Settings` declare type and range (`Count`, `Positive`, ...), which
msgspec checks. `__post_init__` checks conditions on several fields; its sentence begins with the
name of one, and the section's name is put before it. Integers are converted to floats and lists to
tuples where the type requires it; nothing else is converted.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from sys import float_info
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Meta

from chimera.interface.errors import InputError

_MAX = float_info.max
Finite = Annotated[float, Meta(ge=-_MAX, le=_MAX)]
NotNegative = Annotated[float, Meta(ge=0, le=_MAX)]
Positive = Annotated[float, Meta(gt=0, le=_MAX)]
Share = Annotated[float, Meta(gt=0, lt=1)]
Probability = Annotated[float, Meta(ge=0, lt=1)]
Count = Annotated[int, Meta(ge=1, lt=1 << 31)]
Index = Annotated[int, Meta(ge=0, lt=1 << 31)]
Cores = Annotated[int, Meta(ge=1, le=1 << 10)]
BatchSize = Annotated[int, Meta(ge=1, le=1 << 16)]
# Of what gives files and stages their names: no path, no shell, no option of a command.
_NAME = r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z"
Name = Annotated[str, Meta(pattern=_NAME)]
Repetitions = Annotated[int, Meta(ge=1, le=10**4)]

T = TypeVar("T")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section of settings, whose keys are the fields."""


def read_settings(values: Any, key: str, kind: type[T]) -> T:
    """Return the YAML's values at a dotted key, empty for a whole file, as a record `kind`.

    InputError if a key is missing or unknown, or a value has another type or is out of range.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{key or 'params.yaml'} is {values!r}, expected a mapping")
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise InputError(_sentence(str(error), values, key, kind)) from None


def as_plain(settings: Settings) -> dict[str, Any]:
    """Return a record as plain values for JSON and YAML."""
    return dict(msgspec.to_builtins(settings))


def _sentence(message: str, values: Any, key: str, kind: Any) -> str:
    """Return msgspec's message in our form: key, value, expectation."""
    fault, _, place = message.partition(" - at `")
    of_a_name, _, path = place.partition("$")  # "key` in `$.path" where a key is not text
    for step in re.findall(r"\.\w+|\[\d+\]|\[\.\.\.\]", path):
        kind = _record_of(kind)
        if step == "[...]":  # msgspec does not report the key of a mapping
            name, kind = _culprit(values, get_args(kind)[1])
            values, key = values[name], f"{key}.{name}"
        elif step.startswith("["):
            values, kind = values[int(step[1:-1])], get_args(kind)[0]
            key += step
        else:
            hints = {field.name: field.type for field in msgspec.structs.fields(kind)}
            values, kind = values[step[1:]], hints[step[1:]]
            key = f"{key}{step}" if key else step[1:]
    if of_a_name:
        form, wanted = (_NAME, f"text {_OF_A_NAME}") if "regex" in fault else ("", "text")
        wrong = next(n for n in values if not isinstance(n, str) or not re.match(form, n))
        return f"{key or 'params.yaml'} has the key {wrong!r}, expected {wanted}"
    return _explain(fault, values, key, _record_of(kind))


def _explain(fault: str, value: Any, key: str, kind: Any) -> str:
    prefix = f"{key}." if key else ""
    if unknown := re.match(r"Object contains unknown field `(.*)`", fault):
        names = [field.name for field in msgspec.structs.fields(kind)]
        close = get_close_matches(unknown[1], names, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        return f"{prefix}{unknown[1]} is not a known key; {hint}expected {', '.join(names)}"
    if missing := re.match(r"Object missing required field `(.*)`", fault):
        return f"{prefix}{missing[1]} is missing, expected a value"
    if fault == "Number out of range":  # an integer that no float can hold
        return f"{key} is {value!r}, expected a finite number"
    if not fault.startswith(("Expected", "Invalid")):
        return f"{prefix}{fault}"  # from __post_init__
    if choices := [c for c in get_args(kind) if isinstance(c, str | int)]:
        return f"{key} is {value!r}, expected one of {', '.join(map(str, choices))}"
    wanted = fault.removeprefix("Expected ").partition(", got ")[0]
    wanted = re.sub(r" of length (\d)", r" of \1", wanted).replace(" of length", "")
    wanted = re.sub(r" matching regex .*", f" {_OF_A_NAME}", wanted)
    wanted = re.sub("`(.+?)`", _nouns, wanted)
    for sign, words in _BOUNDS.items():
        wanted = re.sub(rf" {sign} (\S+?)(?:\.0)?$", rf" {words} \1", wanted)
    if str(_MAX)[:6] in wanted:
        wanted = "a finite number"
    return f"{key} is {value!r}, expected {wanted}"


_OF_A_NAME = "of letters, digits, dots, _ and -, the first a letter or digit"
_NOUNS = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false"}
_NOUNS |= {"array": "a list", "object": "a mapping"}
_BOUNDS = {">=": "of at least", ">": "above", "<=": "of at most", "<": "below"}


def _nouns(kinds: re.Match[str]) -> str:
    return " or ".join(_NOUNS.get(kind, kind) for kind in kinds[1].split(" | "))


def _record_of(kind: Any) -> Any:
    """Return a type without its bounds and its `| None`, and of several types the record."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) not in (Union, UnionType):
        return kind
    parts = [part for part in get_args(kind) if part is not type(None)]
    records = [part for part in parts if hasattr(get_origin(part) or part, "__struct_fields__")]
    of_interest = records or parts
    return _record_of(of_interest[0]) if len(of_interest) == 1 else kind


def _culprit(values: Mapping[str, Any], kind: Any) -> tuple[str, Any]:
    for name, value in values.items():
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError:
            return name, kind
    raise AssertionError("a mapping that failed has an entry that fails")
