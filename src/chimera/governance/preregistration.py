"""What was fixed before the numbers, in the YAML block of PREREGISTRATION.md, and deviations.

The block holds the declared tests and, under `parameters`, the frozen part of params.yaml. A study
is confirmatory while every frozen parameter has its frozen value.
"""

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from chimera.files.artifacts import read_bytes
from chimera.interface.errors import InputError
from chimera.interface.settings import Finite, Settings, Share, read_settings

_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


class Preregistration(Settings, frozen=True):
    """The declared analysis.

    Attributes:
        alpha: Level of every test, and 1 - alpha of every interval.
        power: Probability with which the declared effect is to be found.
        effect: The effect that the study is planned for, as Cohen's d_z.
        primary: The one primary endpoint, see chimera.study.endpoints.
        secondary: The endpoints of the secondary family.
        correlations: Probe statistics expected to go with the gap, as `<probe>.<statistic>`; a
            family of its own.
        parameters: Frozen values, nested as in params.yaml.
    """

    alpha: Share
    power: Share
    effect: Finite
    primary: str
    secondary: tuple[str, ...]
    correlations: tuple[str, ...]
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Deviation:
    """One frozen parameter that has another value; `None` where it is absent."""

    key: str
    frozen: Any
    running: Any


def read_preregistration(path: Path = Path("PREREGISTRATION.md")) -> Preregistration:
    """Return what the file fixes, see `parse_preregistration`."""
    return parse_preregistration(read_bytes(path).decode(), path.name)


def parse_preregistration(text: str, name: str) -> Preregistration:
    """Return the one YAML block of the text.

    Args:
        text: A whole PREREGISTRATION.md.
        name: Of the file, for messages.

    Raises:
        InputError: If there is not just one block, or it is of another form.
    """
    blocks = _BLOCK.findall(text)
    if len(blocks) != 1:
        raise InputError(f"{name} has {len(blocks)} yaml blocks, expected one with what is frozen")
    try:
        content = yaml.safe_load(blocks[0])
    except yaml.YAMLError as error:
        raise InputError(f"{name} is not YAML: {' '.join(str(error).split())}") from None
    return read_settings(content, name, Preregistration)


def read_sections(path: Path = Path("PREREGISTRATION.md")) -> dict[str, str]:
    """Return the text under each level-two heading of the file, each as one line."""
    parts = re.split(r"^## (.+)$", read_bytes(path).decode(), flags=re.MULTILINE)
    return {
        heading: " ".join(text.split())
        for heading, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def deviations(frozen: Mapping[str, Any], running: Mapping[str, Any]) -> list[Deviation]:
    """Return every leaf of the frozen parameters that differs, in order.

    Args:
        frozen: `Preregistration.parameters`.
        running: params.yaml.
    """
    found = []
    for name, value in frozen.items():
        present = running.get(name)
        if isinstance(value, Mapping) and isinstance(present, Mapping):
            inner = deviations(value, present)
            found += [Deviation(f"{name}.{d.key}", d.frozen, d.running) for d in inner]
        elif value != present:
            found.append(Deviation(name, value, present))
    return found


def require_logged(found: Iterable[Deviation], logged: Container[str]) -> None:
    """Refuse deviations whose keys no entry of the deviation log names.

    Raises:
        InputError: With every such key and both its values.
    """
    unlogged = [deviation for deviation in found if deviation.key not in logged]
    if unlogged:
        listed = "; ".join(f"{d.key} is {d.running}, frozen as {d.frozen}" for d in unlogged)
        raise InputError(
            f"params.yaml deviates from PREREGISTRATION.md without an entry: {listed}; "
            'expected one each from `python -m chimera.commands.log deviation --key KEY "REASON"`'
        )
