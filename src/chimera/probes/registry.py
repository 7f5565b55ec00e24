"""The probes by name: what stage `probe` runs and section `probes` of params.yaml configures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chimera.probes import ib, patching, rome, spectra, twonn
from chimera.probes.subject import Measurement, Subject, Track


@dataclass(frozen=True)
class Probe:
    """The dataclass of a probe's settings, what measures with them, and if vorticity alone."""

    settings: type
    measure: Callable[[Subject, Any, np.random.Generator, Track], Measurement]
    of_vorticity: bool = False


PROBES: Mapping[str, Probe] = {
    "twonn": Probe(twonn.TwonnSettings, twonn.measure),
    "ib": Probe(ib.IbSettings, ib.measure),
    "spectra": Probe(spectra.SpectraSettings, spectra.measure, of_vorticity=True),
    "patching": Probe(patching.PatchingSettings, patching.measure),
    "rome": Probe(rome.RomeSettings, rome.measure),
}
