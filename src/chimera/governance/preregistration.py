"""The preregistered analysis, in the YAML block of PREREGISTRATION.md, and deviations from it.

The block has two frozen sets of parameters: `pilot`, the default scale, and `study`, the same
recipe on flows and seeds that nobody has seen.
"""

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from chimera.files.artifacts import parse_yaml, read_bytes
from chimera.interface.errors import InputError
from chimera.interface.settings import Positive, Settings, Share, read_settings
from chimera.study.axes import axis_name
from chimera.study.endpoints import endpoint_names
from chimera.study.stopping import Level, Stopping

_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
_LISTS = ("replicates", "model_names", "probe_names", "datasets")
_MAPPINGS = ("parity", "train", "evaluate", "probes", "models", "data")
SECTIONS = {"seed": int, "baseline": str} | dict.fromkeys(_LISTS, list)
SECTIONS |= dict.fromkeys(_MAPPINGS, dict)
_NOUNS = {int: "a whole number", str: "a name", list: "a list", dict: "a mapping"}

# What decides no number: where, how fast and how visibly it runs, and what conf/ composes from.
FREE = (
    "scale",
    *(f"train.{name}" for name in ("device", "devices", "threads", "memory", "deterministic")),
    *(f"train.{name}" for name in ("compile", "validate_every", "log_every", "save_every")),
    *(f"evaluate.{name}" for name in ("batch_size", "field_frame", "device", "threads")),
    *(f"data.{name}" for name in ("manifests", "names", "generated", "imported")),
    "models.*.source",
    "models.*.sites",
    "models.*.search",
)

Names = Annotated[tuple[str, ...], Meta(min_length=1)]


class Preregistration(Settings, frozen=True):
    """The declared analysis.

    Attributes:
        alpha: Level of every test and decision, and 1 - alpha of every interval.
        margin: Smallest effect of interest, in ln units: ln 1.1 for 10% of an error.
        margin_frames: The same of the valid time, in frames.
        power: Probability with which a detectable difference is found.
        primary: Primary endpoint, see chimera.study.endpoints.
        secondary: Endpoints of the secondary family.
        correlations: Probe statistics expected to correlate with the gap, as `<probe>.<statistic>`;
            a separate family.
        weights: Weight of each OOD axis in the primary endpoint.
        stopping: When one looks at the replicates, and the prior.
        pilot: Frozen parameters of the pilot, nested as in params.yaml.
        study: Those of the confirmatory study. As declared, it says what differs from the pilot; as
            read, it is complete. Its datasets are described as the pilot's, in the same order.
    """

    alpha: Level
    margin: Positive
    margin_frames: Positive
    power: Share
    primary: str
    secondary: Names
    correlations: Names
    weights: dict[str, Positive]
    stopping: Stopping
    pilot: dict[str, Any]
    study: dict[str, Any]


@dataclass(frozen=True)
class Deviation:
    """A parameter with another value than the frozen one; `None` where it is absent."""

    key: str
    frozen: Any
    running: Any


def read_preregistration(path: Path = Path("PREREGISTRATION.md")) -> Preregistration:
    """Return the content of the file's YAML block."""
    return parse_preregistration(read_bytes(path).decode(), path.name)


def parse_preregistration(text: str, name: str) -> Preregistration:
    """Return the content of the single YAML block of the text of the file `name`.

    Raises:
        InputError: If a key is missing, empty or out of range, an endpoint does not exist, or the
            study uses a seed, a dataset or a replicate twice.
    """
    blocks = _BLOCK.findall(text)
    if len(blocks) != 1:
        raise InputError(f"{name} has {len(blocks)} yaml blocks, expected one with what is frozen")
    plan = read_settings(parse_yaml(blocks[0], name), name, Preregistration)
    _require_complete(plan.pilot, f"{name}: pilot")
    if not plan.study:
        raise InputError(f"{name}: study is empty, expected what differs from the pilot")
    study = _whole_study(plan, name)
    _require_complete(study, f"{name}: study")
    _require_unseen(plan, study, name)
    _require_known_names(plan, study, name)
    values = {field: getattr(plan, field) for field in plan.__struct_fields__}
    return Preregistration(**(values | {"study": study}))


def _whole_study(plan: Preregistration, name: str) -> dict[str, Any]:
    """Return the study's block, merged over the pilot's."""
    pilot, datasets = plan.pilot, plan.study.get("datasets", [])
    if not isinstance(datasets, list) or len(datasets) != len(pilot["datasets"]):
        raise InputError(
            f"{name}: study.datasets is {datasets}, expected one for each dataset of the pilot"
        )
    described = pilot["data"].get("datasets", {})
    pairs = zip(datasets, pilot["datasets"], strict=True)
    carried = {new: described[old] for new, old in pairs if old in described}
    return _merged(pilot | {"data": pilot["data"] | {"datasets": carried}}, plan.study)


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for name, value in changes.items():
        old = result.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping) and value:
            value = _merged(old, value)
        result[name] = value
    return result


def _require_complete(block: Mapping[str, Any], name: str) -> None:
    """Require every section in its form, and no empty mapping; the list of probes may be empty."""
    for section, kind in SECTIONS.items():
        if section not in block:
            raise InputError(f"{name}.{section} is missing, expected a value")
        if not isinstance(block[section], kind):
            raise InputError(f"{name}.{section} is {block[section]!r}, expected {_NOUNS[kind]}")
        if section != "probe_names":
            _require_value(block[section], f"{name}.{section}")


def _require_value(value: Any, key: str) -> None:
    if value in ({}, [], ""):
        raise InputError(f"{key} is {value!r}, expected a value")
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if inner != []:  # a list may be empty, as that of the conditioning
                _require_value(inner, f"{key}.{name}")


def _require_unseen(plan: Preregistration, study: Mapping[str, Any], name: str) -> None:
    """Require that the study shares no seed and no dataset with the pilot."""
    pilot = plan.pilot
    for key, new, old in (
        ("seed", study["seed"], pilot["seed"]),
        ("data.seed", study["data"].get("seed"), pilot["data"].get("seed")),
    ):
        if new == old:
            raise InputError(
                f"{name}: study.{key} is {new}, the pilot's, expected one that nobody has run"
            )
    shared = [dataset for dataset in study["datasets"] if dataset in pilot["datasets"]]
    if shared:
        raise InputError(
            f"{name}: study.datasets has {', '.join(shared)} of the pilot, expected unseen data"
        )
    replicates, most = study["replicates"], plan.stopping.last_look
    if len(set(map(str, replicates))) < len(replicates) or len(replicates) != most:
        raise InputError(
            f"{name}: study.replicates is {replicates}, expected {most} different ones, as many "
            "as stopping.last_look"
        )


def _require_known_names(plan: Preregistration, study: Mapping[str, Any], name: str) -> None:
    """Require that endpoints, axes and probes exist in both blocks."""
    declared = [plan.primary, *plan.secondary]
    for block in (plan.pilot, study):
        axes = [axis_name(dataset, block["datasets"]) for dataset in block["datasets"]]
        known = endpoint_names(axes)
        for endpoint in declared:
            if endpoint not in known:
                raise InputError(
                    f"{name} names the endpoint {endpoint!r}, expected one of {', '.join(known)}"
                )
        if set(plan.weights) != set(axes[1:]):
            raise InputError(
                f"{name}: weights has {', '.join(plan.weights) or 'no axis'}, expected one for "
                f"each of {', '.join(axes[1:])}"
            )
    twice = [endpoint for endpoint in declared if declared.count(endpoint) > 1]
    if twice:
        raise InputError(f"{name} names the endpoint {twice[0]!r} twice, expected it once")
    for statistic in plan.correlations:
        if statistic.partition(".")[0] not in plan.pilot["probes"]:
            raise InputError(
                f"{name}: correlations has {statistic!r}, expected <probe>.<statistic> with a "
                f"probe of {', '.join(plan.pilot['probes'])}"
            )


def read_sections(path: Path = Path("PREREGISTRATION.md")) -> dict[str, str]:
    """Return the text under each level-two heading of the file, each as one line."""
    parts = re.split(r"^## (.+)$", read_bytes(path).decode(), flags=re.MULTILINE)
    return {
        heading: " ".join(text.split())
        for heading, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def decisive(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of params.yaml decides numbers: all but FREE, and what the study does not use.

    Datasets that are described and not in `datasets`, and models not in `model_names`, stay out.
    """
    kept = _without_free(params, "")
    used = {"models": params.get("model_names", ())}
    if "datasets" in kept.get("data", {}):
        data = kept["data"]
        named = params.get("datasets", ())
        described = {n: value for n, value in data["datasets"].items() if n in named}
        kept["data"] = data | {"datasets": described}
    for section, names in used.items():
        if section in kept:
            kept[section] = {n: value for n, value in kept[section].items() if n in names}
    return kept


def _without_free(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {
        name: _without_free(value, f"{prefix}{name}.") if isinstance(value, Mapping) else value
        for name, value in values.items()
        if not any(fnmatch(f"{prefix}{name}", pattern) for pattern in FREE)
    }


def deviations(frozen: Mapping[str, Any], running: Mapping[str, Any]) -> list[Deviation]:
    """Return every leaf in which two sets of parameters differ, in order."""
    found = []
    for name in [*frozen, *(name for name in running if name not in frozen)]:
        value, present = frozen.get(name), running.get(name)
        if isinstance(value, Mapping) and isinstance(present, Mapping):
            inner = deviations(value, present)
            found += [Deviation(f"{name}.{d.key}", d.frozen, d.running) for d in inner]
        elif value != present:
            found.append(Deviation(name, value, present))
    return found


def nearest_block(plan: Preregistration, params: Mapping[str, Any]) -> tuple[str, list[Deviation]]:
    """Return `pilot` or `study`, whichever the parameters are nearer to, and their deviations.

    The study's replicates deviate unless they are the first ones of the declared sequence.
    """
    running = decisive(params)
    replicates = running.get("replicates") or []
    study = dict(plan.study)
    if replicates and replicates == study["replicates"][: len(replicates)]:
        study["replicates"] = replicates
    found = {
        "pilot": deviations(plan.pilot, running),
        "study": deviations(study, running),
    }
    return min(found.items(), key=lambda item: len(item[1]))


def require_logged(found: Iterable[Deviation], logged: Container[str]) -> None:
    """Require that an entry of the deviation log names the key of every deviation."""
    unlogged = [d for d in found if d.key not in logged]
    if unlogged:
        listed = "; ".join(f"{d.key} is {d.running}, frozen as {d.frozen}" for d in unlogged)
        raise InputError(
            f"params.yaml deviates from PREREGISTRATION.md without an entry: {listed}; "
            'expected one each from `python -m chimera.commands.log deviation --key KEY "REASON"`'
        )
