"""The probes by name; a probe is the folder of that name, with its settings and what it measures.

A probe is imported when it is asked for: what it needs, such as a compiler, no other waits for.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from chimera.interface.errors import InputError
from chimera.interface.settings import read_settings
from chimera.probes.common.subject import Measurement, Subject, Track

Measure = Callable[[Subject, Any, np.random.Generator, Track], Measurement]

# In each folder, the class in settings.py and the function in measure.py.
PROBES = {
    "twonn": ("TwonnSettings", "measure_dimension"),
    "ib": ("IbSettings", "measure_information"),
    "spectra": ("SpectraSettings", "measure_spectra"),
    "patching": ("PatchingSettings", "measure_effects"),
    "rome": ("RomeSettings", "measure_edits"),
}


def probe_settings(name: str, section: Any) -> Any:
    """Return the checked settings of a probe.

    Raises:
        InputError: If there is no such probe, or a setting cannot be used.
    """
    class_name, _ = _entry(name)
    kind = getattr(import_module(f"chimera.probes.{name}.settings"), class_name)
    return read_settings(section, f"probes.{name}", kind)


def probe_measure(name: str) -> Measure:
    """Return what measures with a probe.

    Raises:
        InputError: If there is no such probe.
    """
    _, function_name = _entry(name)
    measure: Measure = getattr(import_module(f"chimera.probes.{name}.measure"), function_name)
    return measure


def _entry(name: str) -> tuple[str, str]:
    if name not in PROBES:
        raise InputError(f"probes has {name!r}, expected one of {', '.join(PROBES)}")
    return PROBES[name]
