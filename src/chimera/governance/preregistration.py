"""The preregistered analysis, in the YAML block of PREREGISTRATION.md, and deviations from it.

A study is confirmatory while every frozen parameter of params.yaml has its frozen value.
"""

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chimera.files.artifacts import parse_yaml, read_bytes
from chimera.interface.errors import InputError
from chimera.interface.settings import Finite, Settings, Share, read_settings

_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


class Preregistration(Settings, frozen=True):
    """The declared analysis.

    Attributes:
        alpha: Level of every test, and 1 - alpha of every interval.
        effect: Cohen's d_z for which the study is planned, to be detected with probability `power`.
        primary: Primary endpoint, see chimera.study.endpoints.
        secondary: Endpoints of the secondary family.
        correlations: Probe statistics expected to correlate with the gap, as `<probe>.<statistic>`;
            a separate family.
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
    """A frozen parameter with another value, or with `None` where it is absent."""

    key: str
    frozen: Any
    running: Any


def read_preregistration(path: Path = Path("PREREGISTRATION.md")) -> Preregistration:
    """Return the content of the file's YAML block."""
    return parse_preregistration(read_bytes(path).decode(), path.name)


def parse_preregistration(text: str, name: str) -> Preregistration:
    """Return the content of the single YAML block of the text of the file `name`."""
    blocks = _BLOCK.findall(text)
    if len(blocks) != 1:
        raise InputError(f"{name} has {len(blocks)} yaml blocks, expected one with what is frozen")
    return read_settings(parse_yaml(blocks[0], name), name, Preregistration)


def read_sections(path: Path = Path("PREREGISTRATION.md")) -> dict[str, str]:
    """Return the text under each level-two heading of the file, each as one line."""
    parts = re.split(r"^## (.+)$", read_bytes(path).decode(), flags=re.MULTILINE)
    return {
        heading: " ".join(text.split())
        for heading, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def deviations(frozen: Mapping[str, Any], running: Mapping[str, Any]) -> list[Deviation]:
    """Return every leaf of the frozen parameters that differs in params.yaml, in order."""
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
    """Require that an entry of the deviation log names the key of every deviation."""
    unlogged = [d for d in found if d.key not in logged]
    if unlogged:
        listed = "; ".join(f"{d.key} is {d.running}, frozen as {d.frozen}" for d in unlogged)
        raise InputError(
            f"params.yaml deviates from PREREGISTRATION.md without an entry: {listed}; "
            'expected one each from `python -m chimera.commands.log deviation --key KEY "REASON"`'
        )
