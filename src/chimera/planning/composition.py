"""Composition of conf/ by the calls that `dvc exp run` makes (dvc.utils.hydra.compose_and_dump)."""

from collections.abc import Sequence
from pathlib import Path

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from chimera.interface.errors import InputError


def compose(overrides: Sequence[str] = (), conf: Path = Path("conf")) -> str:
    """Return the YAML of conf/config.yaml with the overrides applied.

    Raises:
        InputError: If an override, a key or a group does not exist, or a value is missing (`???`).
    """
    try:
        with initialize_config_dir(str(conf.resolve()), version_base=None):
            config = hydra_compose("config", overrides=list(overrides))
        OmegaConf.resolve(config)
        missing = OmegaConf.missing_keys(config)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        sentence = " ".join(str(error).split("Config search path")[0].split())
        raise InputError(f"{conf.name}/: {sentence}") from None
    if missing:
        raise InputError(
            f"{conf.name}/: {', '.join(sorted(missing))} has no value, expected one for ???"
        )
    return OmegaConf.to_yaml(config)
