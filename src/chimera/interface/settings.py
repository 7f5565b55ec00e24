"""Plain mappings into frozen dataclasses, strictly.

A missing key, an unknown key or a value of the wrong type is one sentence with the dotted key, the
value seen and what was expected. Nothing is converted but an int where a float is due, and a list
where a tuple is.
"""

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from chimera.interface.errors import InputError

T = TypeVar("T")


def read_settings(values: Any, key: str, kind: type[T]) -> T:
    """Return a dataclass made of a mapping.

    Args:
        values: What the YAML holds at `key`.
        key: Dotted, for messages; empty for a whole file.
        kind: The dataclass.

    Raises:
        InputError: If a key is missing or unknown, or a value is not of the field's type.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{key or 'params.yaml'} is {values!r}, expected a mapping")
    hints = get_type_hints(kind)
    names = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in names:
            close = get_close_matches(str(name), names, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise InputError(
                f"{_join(key, name)} is not a known key; {hint}expected {', '.join(names)}"
            )
    for name, field in names.items():
        if name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise InputError(f"{_join(key, name)} is missing, expected {_describe(hints[name])}")
    return kind(**{name: _read(v, _join(key, name), hints[name]) for name, v in values.items()})


def _join(key: str, name: object) -> str:
    return f"{key}.{name}" if key else str(name)


def _read(value: Any, key: str, hint: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _read(value, key, next(a for a in arguments if a is not type(None)))
    if is_dataclass(hint):
        return read_settings(value, key, hint)  # type: ignore[arg-type]
    if origin is Literal:
        if value in arguments and type(value) in {type(a) for a in arguments}:
            return value
    elif origin is tuple:
        if isinstance(value, list | tuple):
            return tuple(_read(v, f"{key}[{i}]", arguments[0]) for i, v in enumerate(value))
    elif origin is dict:
        if isinstance(value, Mapping):
            return {name: _read(v, _join(key, name), arguments[1]) for name, v in value.items()}
    elif hint is float:
        if isinstance(value, int | float) and not isinstance(value, bool) and value == value:
            return float(value)
    elif isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool):
        return value
    raise InputError(f"{key} is {value!r}, expected {_describe(hint)}")


def _describe(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin is tuple:
        return f"a list, each entry {_describe(arguments[0])}"
    if origin in (Union, types.UnionType):
        return " or ".join("nothing (null)" if a is type(None) else _describe(a) for a in arguments)
    if origin is dict or is_dataclass(hint):
        return "a mapping"
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return names.get(hint, str(hint))
