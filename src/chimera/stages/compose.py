"""Compose conf/ into params.yaml, exactly as `dvc exp run` does.

`python -m chimera.stages.compose [OVERRIDE ...]` writes params.yaml (Hydra's override grammar, such
as `scale=smoke train.lr=1e-3`); `--check` writes nothing and fails when the committed file differs
from what conf/ gives. DVC composes by the same two calls of Hydra and OmegaConf
(dvc.utils.hydra.compose_and_dump), so that both leave the same bytes.
"""

import argparse
from collections.abc import Sequence
from difflib import unified_diff
from pathlib import Path

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from chimera.artifacts import write_text
from chimera.errors import InputError
from chimera.stages import guarded


def compose(overrides: Sequence[str] = (), conf: Path = Path("conf")) -> str:
    """Return the YAML of conf/config.yaml with the overrides applied.

    Raises:
        InputError: If an override, a key or a group does not exist, or a value is left as `???`.
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Write params.yaml, or with `--check` compare it."""
    parser = argparse.ArgumentParser(prog="compose", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("overrides", nargs="*", help="such as scale=smoke or train.lr=1e-3")
    options = parser.parse_args(arguments)
    composed, params = compose(options.overrides), Path("params.yaml")
    if not options.check:
        write_text(params, composed)
        return
    present = params.read_text() if params.exists() else ""
    if present != composed:
        lines = unified_diff(
            present.splitlines(), composed.splitlines(), "params.yaml", "conf/", n=0
        )
        change = next((line for line in list(lines)[2:] if line[0] in "+-"), "")
        raise InputError(
            f"params.yaml differs from what conf/ composes (first: {change!r}); "
            "expected equal files, so edit conf/ and run `python -m chimera.stages.compose`"
        )


if __name__ == "__main__":
    guarded(main)
