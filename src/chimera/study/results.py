"""What a stage wrote, read by another: in the expected form, or a sentence that says where not."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import defstruct

from chimera.files.artifacts import read_csv, read_json, read_yaml
from chimera.interface.errors import InputError
from chimera.interface.settings import read_settings

_NUMBERS = "estimate ci_low ci_high p q p_equivalence e_value sign_flip_p hedges_gz detectable n"
_ENDS = [(name, float | str) for name in ("cs_low", "cs_high")]  # a word where they are unbounded
_Contrast = defstruct("_Contrast", [*((name, float) for name in _NUMBERS.split()), *_ENDS])
FORMS: dict[str, Any] = {  # of each file of metrics/; `...` stands for every other key
    "verify": dict[str, int],
    "parity": {"tolerance": float, ...: dict[str, float]},
    "summary": {...: {"gap": float, "gap_sd": float, ...: dict[str, float]}},
    "probes": dict[str, dict[str, dict[str, float]]],
    "stats": {
        **dict.fromkeys(("replicates", "confirmatory", "deviations"), int),
        **dict.fromkeys(("standing", "preregistration"), str),
        "margin": float,
        "spearman": dict[str, float | dict[str, float]],
        ...: {
            "verdict": str,
            **dict.fromkeys(("decided_at", "further", "decision_probability"), float),
            ...: _Contrast,
        },
    },
}


def read_metrics(name: str) -> Any:
    """Return the content of metrics/<name>.json."""
    return read_result(Path(f"metrics/{name}.json"), FORMS[name])


def read_result(path: Path, form: Any) -> Any:
    """Return the content of a JSON or YAML file.

    `form` is a type, or forms by key: of all that are needed or, beside `...`, may be there. A
    missing key or a value of another form is an InputError.
    """
    content = read_yaml(path) if path.suffix == ".yaml" else read_json(path)
    _require_form(content, str(path), form)
    return content


def _require_form(content: Any, key: str, form: Any) -> None:
    if not isinstance(form, Mapping):
        read_settings(content, key, form)
        return
    read_settings(content, key, dict[str, Any])
    for name in content if ... in form else form:
        inner = form.get(name, form.get(...))
        if isinstance(inner, Mapping):
            _require_form(content[name], f"{key}.{name}", inner)
        else:
            of_one: Any = dict[str, inner]  # type: ignore[valid-type]
            read_settings({name: content[name]}, key, of_one)


def read_numbers(
    path: Path, columns: Sequence[str], *, blanks: bool = False
) -> list[dict[str, str]]:
    """Return a CSV file's rows; InputError if these columns hold other than numbers or `blanks`."""
    rows = read_csv(path)
    for line, row in enumerate(rows, start=2):
        for name in columns:
            try:
                float(row[name] or ("0" if blanks else ""))
            except (KeyError, TypeError, ValueError):
                found = f"{name} in line {line} is {row.get(name)!r}"
                raise InputError(f"{path}: {found}, expected a number") from None
    return rows
