"""What is preregistered, and how far parameters deviate from it.

Reads what chimera.governance.preregistration has checked, or what a record keeps, without checking
it again: nothing here needs more than YAML.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any, NamedTuple

from chimera.files.artifacts import parse_yaml
from chimera.interface.errors import InputError
from chimera.study.stopping import Analysis, Stopping

_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)

# What changes numbers by rounding alone, if at all, and what conf/ composes from. Two exceptions:
# train.memory where frames exceed it, train.validate_every with train.keep=best.
FREE = (
    "scale",
    "figures",
    *(f"train.{name}" for name in ("device", "devices", "threads", "memory", "deterministic")),
    *(f"train.{name}" for name in ("compile", "validate_every", "log_every", "save_every")),
    *(f"evaluate.{name}" for name in ("batch_size", "field_frame", "device", "threads")),
    *(f"data.{name}" for name in ("manifests", "names", "generated", "imported")),
    "models.*.source",
    "models.*.sites",
    "models.*.search",
)


@dataclass(frozen=True, kw_only=True)
class Preregistration(Analysis):
    """The declared analysis, and the frozen parameters, nested as in params.yaml.

    `correlations` are the probe statistics, as `<probe>.<statistic>`, that are expected to
    correlate with the OOD error: a separate family.
    """

    correlations: tuple[str, ...]
    pilot: dict[str, Any]
    study: dict[str, Any]  # complete


class Deviation(NamedTuple):
    """A parameter with another value than the frozen one; `None` where it is absent."""

    key: str
    frozen: Any
    running: Any


def declared_block(text: str, name: str) -> Any:
    """Return the content of the single YAML block in the text of the file `name`."""
    blocks = _BLOCK.findall(text)
    if len(blocks) != 1:
        raise InputError(f"{name} has {len(blocks)} yaml blocks, expected one with what is frozen")
    return parse_yaml(blocks[0], name)


def whole_plan(declared: Mapping[str, Any], name: str) -> Preregistration:
    """Return what a block declares, with the study's parameters merged over the pilot's."""
    lists = {key: tuple(declared[key]) for key in ("secondary", "correlations")}
    parts = {"stopping": Stopping(**declared["stopping"]), "study": _whole_study(declared, name)}
    return Preregistration(**{**declared, **lists, **parts})


def _whole_study(declared: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the study's block, merged over the pilot's."""
    pilot, changes = declared["pilot"], declared["study"]
    datasets = changes.get("datasets", [])
    if not isinstance(datasets, list) or len(datasets) != len(pilot["datasets"]):
        raise InputError(f"{name}: study.datasets is {datasets}, expected as many as the pilot's")
    described = pilot["data"].get("datasets", {})
    pairs = zip(datasets, pilot["datasets"], strict=True)
    carried = {new: described[old] for new, old in pairs if old in described}
    return _merged(pilot | {"data": pilot["data"] | {"datasets": carried}}, changes)


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for name, value in changes.items():
        old = result.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping) and value:
            value = _merged(old, value)
        result[name] = value
    return result


def decisive(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of params.yaml decides numbers: all but FREE, and what the study does not use.

    Datasets that are described and not in `datasets`, and models not in `model_names`, stay out.
    """
    kept = _without_free(params, "")
    if "datasets" in kept.get("data", {}):
        kept["data"]["datasets"] = _named(kept["data"]["datasets"], params.get("datasets", ()))
    if "models" in kept:
        kept["models"] = _named(kept["models"], params.get("model_names", ()))
    return kept


def _named(section: Mapping[str, Any], names: Container[str]) -> dict[str, Any]:
    return {name: value for name, value in section.items() if name in names}


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
    found = {name: deviations(b, running) for name, b in (("pilot", plan.pilot), ("study", study))}
    return min(found.items(), key=lambda item: len(item[1]))
