"""What `dvc exp run -S` says of a name that conf/ lacks: the sentence of chimera.commands.compose.

DVC imports what lies in `hydra.plugins_path` (.dvc/config) before it composes conf/. Hydra has no
hook for a composition that fails, so its method is replaced, in the process of DVC alone.
"""

from typing import Any

from dvc.exceptions import InvalidArgumentError
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from chimera.interface.errors import InputError
from chimera.planning.composition import compose

compose_config = Hydra.compose_config


def compose_or_say(hydra: Hydra, config_name: str, overrides: list[str], **settings: Any) -> Any:
    """Return Hydra's configuration; DVC prints its own errors as they are, others on a page."""
    try:
        return compose_config(hydra, config_name, overrides, **settings)
    except (HydraException, OmegaConfBaseException):
        Hydra.compose_config = compose_config
        GlobalHydra.instance().clear()  # it refuses to compose inside of a composition
        try:
            compose(overrides)
        except InputError as error:
            raise InvalidArgumentError(str(error)) from None
        raise


Hydra.compose_config = compose_or_say
