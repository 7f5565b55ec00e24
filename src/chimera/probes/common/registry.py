"""The probes by name; each is the folder of that name, imported only when it is used."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from chimera.interface.errors import InputError
from chimera.interface.settings import read_settings
from chimera.probes.common.subject import Measurement, Subject, Track

Measure = Callable[[Subject, Any, np.random.Generator, Track], Measurement]

# The class in each folder's settings.py and the function in its measure.py.
PROBES = {
    "twonn": ("TwonnSettings", "measure_dimension"),
    "ib": ("IbSettings", "measure_information"),
    "spectra": ("SpectraSettings", "measure_spectra"),
    "patching": ("PatchingSettings", "measure_effects"),
    "rome": ("RomeSettings", "measure_edits"),
}


def probe_settings(name: str, section: Any) -> Any:
    """Return the checked settings of a probe; an unknown probe or setting is an InputError."""
    class_name, _ = _entry(name)
    kind = getattr(import_module(f"chimera.probes.{name}.settings"), class_name)
    return read_settings(section, f"probes.{name}", kind)


def probe_measure(name: str) -> Measure:
    """Return the measuring function of a probe; an unknown probe is an InputError."""
    _, function_name = _entry(name)
    measure: Measure = getattr(import_module(f"chimera.probes.{name}.measure"), function_name)
    return measure


def _entry(name: str) -> tuple[str, str]:
    if name not in PROBES:
        raise InputError(f"probes has {name!r}, expected one of {', '.join(PROBES)}")
    return PROBES[name]
