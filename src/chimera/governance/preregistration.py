"""The preregistered analysis, in the YAML block of PREREGISTRATION.md, checked.

The block has two frozen sets of parameters: `pilot`, the default scale, and `study`, the same
recipe on flows and seeds that nobody has seen.
"""

import re
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, defstruct

from chimera.files.artifacts import read_text
from chimera.governance.plan import Deviation, Preregistration, declared_block, whole_plan
from chimera.interface.errors import InputError
from chimera.interface.settings import Positive, Settings, Share, read_settings
from chimera.study.axes import datasets_by_axis
from chimera.study.endpoints import endpoint_names

_LISTS = ("replicates", "model_names", "probe_names", "datasets")
_MAPPINGS = ("parity", "train", "evaluate", "probes", "models", "data")
SECTIONS = {"seed": int, "baseline": str} | dict.fromkeys(_LISTS, list)
SECTIONS |= dict.fromkeys(_MAPPINGS, dict)
_Block = defstruct("_Block", list(SECTIONS.items()))  # which may have other sections, too

Level = Annotated[float, Meta(gt=0, lt=0.5)]
NumReplicates = Annotated[int, Meta(ge=2, le=10**4)]
Names = Annotated[tuple[str, ...], Meta(min_length=1)]


class _Looks(Settings, frozen=True):
    """The bounds of chimera.study.stopping.Stopping."""

    first_look: NumReplicates
    last_look: NumReplicates
    prior_variance: Positive

    def __post_init__(self) -> None:
        """Require a look."""
        if self.last_look < self.first_look:
            raise InputError(f"last_look is {self.last_look}, expected {self.first_look} or more")


class _Declaration(Settings, frozen=True):
    """The bounds of Preregistration; its study says what differs from the pilot."""

    alpha: Level
    margin: Positive
    margin_frames: Positive
    power: Share
    primary: str
    secondary: Names
    correlations: Names
    weights: dict[str, Positive]
    stopping: _Looks
    pilot: dict[str, Any]
    study: dict[str, Any]


def read_preregistration(path: Path = Path("PREREGISTRATION.md")) -> Preregistration:
    """Return the content of the file's YAML block."""
    return parse_preregistration(read_text(path), path.name)


def parse_preregistration(text: str, name: str) -> Preregistration:
    """Return the content of the single YAML block of the text of the file `name`.

    InputError if a key is missing, empty or out of range, an endpoint does not exist, or the study
    uses a seed, a dataset or a replicate twice.
    """
    declared = declared_block(text, name)
    read_settings(declared, name, _Declaration)
    _require_complete(declared["pilot"], f"{name}: pilot")
    if not declared["study"]:
        raise InputError(f"{name}: study is empty, expected what differs from the pilot")
    plan = whole_plan(declared, name)
    _require_complete(plan.study, f"{name}: study")
    _require_unseen(plan, name)
    _require_known_names(plan, name)
    return plan


def _require_complete(block: Mapping[str, Any], name: str) -> None:
    """Require every section in its form, and no empty mapping; the list of probes may be empty."""
    read_settings(block, name, _Block)
    for section in SECTIONS:
        if section != "probe_names":
            _require_value(block[section], f"{name}.{section}")


def _require_value(value: Any, key: str) -> None:
    if value in ({}, [], ""):
        raise InputError(f"{key} is {value!r}, expected a value")
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if inner != []:  # a list may be empty, as that of the conditioning
                _require_value(inner, f"{key}.{name}")


def _require_unseen(plan: Preregistration, name: str) -> None:
    """Require that the study shares no seed and no dataset with the pilot."""
    pilot, study = plan.pilot, plan.study
    for key, new, old in (
        ("seed", study["seed"], pilot["seed"]),
        ("data.seed", study["data"].get("seed"), pilot["data"].get("seed")),
    ):
        if new == old:
            raise InputError(f"{name}: study.{key} is {new}, the pilot's, expected one not run yet")
    shared = [dataset for dataset in study["datasets"] if dataset in pilot["datasets"]]
    if shared:
        raise InputError(
            f"{name}: study.datasets has {', '.join(shared)} of the pilot, expected others"
        )
    replicates, most = study["replicates"], plan.stopping.last_look
    if len(set(map(str, replicates))) < len(replicates) or len(replicates) != most:
        many = f"{most} different ones, as many as stopping.last_look"
        raise InputError(f"{name}: study.replicates is {replicates}, expected {many}")


def _require_known_names(plan: Preregistration, name: str) -> None:
    """Require that endpoints, axes and probes exist in both blocks."""
    declared = [plan.primary, *plan.secondary]
    for block in (plan.pilot, plan.study):
        axes = list(datasets_by_axis(block["datasets"]))
        known = endpoint_names(axes)
        for endpoint in declared:
            if endpoint not in known:
                raise InputError(f"{name} names {endpoint!r}, expected one of {', '.join(known)}")
        if set(plan.weights) != set(axes[1:]):
            stated = f"{name}: weights has {', '.join(plan.weights) or 'no axis'}"
            raise InputError(f"{stated}, expected one for each of {', '.join(axes[1:])}")
    twice = [endpoint for endpoint in declared if declared.count(endpoint) > 1]
    if twice:
        raise InputError(f"{name} names the endpoint {twice[0]!r} twice, expected it once")
    for statistic in plan.correlations:
        if statistic.partition(".")[0] not in plan.pilot["probes"]:
            wanted = f"<probe>.<statistic> with a probe of {', '.join(plan.pilot['probes'])}"
            raise InputError(f"{name}: correlations has {statistic!r}, expected {wanted}")


def read_sections(path: Path = Path("PREREGISTRATION.md")) -> dict[str, str]:
    """Return the text under each level-two heading of the file, each as one line."""
    parts = re.split(r"^## (.+)$", read_text(path), flags=re.MULTILINE)
    lines = [" ".join(part.split()) for part in parts]
    return dict(zip(lines[1::2], lines[2::2], strict=True))


def require_logged(found: Iterable[Deviation], logged: Container[str]) -> None:
    """Require that an entry of the deviation log names the key of every deviation."""
    unlogged = [d for d in found if d.key not in logged]
    if unlogged:
        listed = "; ".join(f"{d.key} is {d.running}, frozen as {d.frozen}" for d in unlogged)
        raise InputError(
            f"params.yaml deviates from PREREGISTRATION.md without an entry: {listed}; "
            'expected one each from `python -m chimera.commands.log deviation --key KEY "REASON"`'
        )
