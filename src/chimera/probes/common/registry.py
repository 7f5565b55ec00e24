"""The probes by name; each is the folder of that name, imported only when it is used."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from chimera.interface.errors import InputError
from chimera.interface.settings import read_settings
from chimera.probes.common.subject import Measurement, Subject, Track

Measure = Callable[[Subject, Any, np.random.Generator, Track], Measurement]

PROBES = {  # the class in each folder's settings.py and the function in its measure.py
    "twonn": {"settings": "TwonnSettings", "measure": "measure_dimension"},
    "ib": {"settings": "IbSettings", "measure": "measure_information"},
    "spectra": {"settings": "SpectraSettings", "measure": "measure_spectra"},
    "patching": {"settings": "PatchingSettings", "measure": "measure_effects"},
    "rome": {"settings": "RomeSettings", "measure": "measure_edits"},
}


def probe_settings(name: str, section: Any) -> Any:
    """Return the checked settings of a probe; an unknown probe or setting is an InputError."""
    return read_settings(section, f"probes.{name}", _part(name, "settings"))


def probe_measure(name: str) -> Measure:
    """Return the measuring function of a probe; an unknown probe is an InputError."""
    return _part(name, "measure")


def _part(name: str, file: str) -> Any:
    if name not in PROBES:
        raise InputError(f"probes has {name!r}, expected one of {', '.join(PROBES)}")
    return getattr(import_module(f"chimera.probes.{name}.{file}"), PROBES[name][file])
