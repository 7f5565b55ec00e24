"""Composition of conf/ by the calls that `dvc exp run` makes (dvc.utils.hydra.compose_and_dump)."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from operator import add
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from chimera.interface.errors import InputError

# omegaconf has ValueError where a list is given a key.
_ERRORS = (HydraException, OmegaConfBaseException, YAMLError, ValueError)
# ${joined:${a},${b}} is one list of both; DVC knows it by .dvc/plugins/.
OmegaConf.register_new_resolver("joined", add, replace=True)


def compose(overrides: Sequence[str] = (), conf: Path = Path("conf")) -> str:
    """Return the YAML of conf/config.yaml with the overrides applied.

    An override, key or group that does not exist and a missing value (`???`) are InputErrors.
    """
    try:
        config = _composed(overrides, conf)
        OmegaConf.resolve(config)
        missing = OmegaConf.missing_keys(config)
    except _ERRORS as error:
        sentence = " ".join(str(error).split("Config search path")[0].split())
        raise InputError(_misspelt(overrides, conf) or f"{conf.name}/: {sentence}") from None
    if missing:
        raise InputError(
            f"{conf.name}/: {', '.join(sorted(missing))} has no value, expected one for ???"
        )
    return OmegaConf.to_yaml(config)


def _composed(overrides: Sequence[str], conf: Path) -> DictConfig:
    with initialize_config_dir(str(conf.resolve()), version_base=None):
        return hydra_compose("config", overrides=list(overrides))


def _misspelt(overrides: Sequence[str], conf: Path) -> str | None:
    """Return a sentence about the first override that names what conf/ lacks, if one does."""
    folders = {
        folder.name: sorted(file.stem for file in folder.glob("*.yaml"))
        for folder in conf.iterdir()
        if folder.is_dir()
    }
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        for override in parsed:
            group, value = override.key_or_group, override.value()
            if group in folders and isinstance(value, str) and value not in folders[group]:
                return _nearest(f"{conf.name}/{group}/", "file", value, folders[group])
            if override.package and group not in folders:
                return _nearest(f"{conf.name}/", "group", group, folders)
        listed = OmegaConf.load(conf / "config.yaml").defaults
        known = [name for entry in listed if isinstance(entry, Mapping) for name in entry]
        groups = [
            text
            for text, override in zip(overrides, parsed, strict=True)
            if override.key_or_group in folders and (override.is_add() or _name(override) in known)
        ]
        known += _keys(OmegaConf.to_container(_composed(groups, conf)))
    except _ERRORS:
        return None
    for override in parsed:
        # The elements of a list have numbers.
        if not override.is_add() and re.sub(r"(\.\d+)+$", "", _name(override)) not in known:
            return _nearest(f"{conf.name}/", "key", _name(override), known)
    return None


def _name(override: Override) -> str:
    """Return what an override names: a key, a group, or a group with the section that it fills."""
    return override.key_or_group + (f"@{override.package}" if override.package else "")


def _keys(section: Any, prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys of nested mappings, those of sections too."""
    if isinstance(section, Mapping):
        for name, value in section.items():
            yield f"{prefix}{name}"
            yield from _keys(value, f"{prefix}{name}.")


def _nearest(where: str, kind: str, name: str, known: Iterable[str]) -> str:
    """Return the sentence about a name that is not known, with the one that may be meant."""
    names = list(dict.fromkeys(known))
    ends = [full for full in names if full.endswith(f".{name}")]  # without its section
    if close := ends or get_close_matches(name, names, 1):
        return f"{where} has no {kind} {name!r}, expected one such as {close[0]!r}"
    first = ", ".join(full for full in names if "." not in full)
    return f"{where} has no {kind} {name!r}, expected one of {first}"
