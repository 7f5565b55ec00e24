"""The probes by name: what stage `probe` runs and section `probes` of params.yaml configures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chimera.probes import settings
from chimera.probes.common.subject import Measurement, Subject, Track

Measure = Callable[[Subject, Any, np.random.Generator, Track], Measurement]


@dataclass(frozen=True)
class Probe:
    """The dataclass of a probe's settings, and whether it measures vorticity alone."""

    settings: type
    of_vorticity: bool = False


PROBES: Mapping[str, Probe] = {
    "twonn": Probe(settings.TwonnSettings),
    "ib": Probe(settings.IbSettings),
    "spectra": Probe(settings.SpectraSettings, of_vorticity=True),
    "patching": Probe(settings.PatchingSettings),
    "rome": Probe(settings.RomeSettings),
}


def measure_of(name: str) -> Measure:
    """Return what measures with a probe of PROBES, imported when it is asked for.

    What one probe needs, such as a compiler, no other has to wait for.
    """
    match name:
        case "twonn":
            from chimera.probes import twonn

            return twonn.measure
        case "ib":
            from chimera.probes import ib

            return ib.measure
        case "spectra":
            from chimera.probes import spectra

            return spectra.measure
        case "patching":
            from chimera.probes import patching

            return patching.measure
        case "rome":
            from chimera.probes import rome

            return rome.measure
    raise KeyError(name)
