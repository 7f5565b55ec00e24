"""Section `probes` of params.yaml: the settings of each probe, apart from what measures with them.

Reading parameters loads no compiler and no statistics.
"""

import math
from dataclasses import dataclass

from chimera.interface.errors import InputError
from chimera.probes.common.sampling import FEWEST_SAMPLES
from chimera.probes.rome.convolutions import FEWEST_KEYS_PER_DIMENSION

MOST_SHUFFLED = 5  # neighbours k of an estimate of information under shuffles


@dataclass(frozen=True)
class TwonnSettings:
    """Section `probes.twonn`.

    Attributes:
        threshold: Of the autocorrelation by which samples are spaced.
        largest_samples: Samples of an axis at most; fewer where an axis has fewer.
        discard_fraction: Share of the largest ratios that the linear fit leaves out.
        scales: Neighbour ranks n of the GRIDE curve, from 2 on; n = 1 is the mle.
        bootstraps: Draws of the trajectories behind each standard deviation.
    """

    threshold: float
    largest_samples: int
    discard_fraction: float
    scales: tuple[int, ...]
    bootstraps: int

    def __post_init__(self) -> None:
        """Refuse values that no probe could use."""
        key = "probes.twonn"
        if not 0 < self.threshold < 1:
            raise InputError(f"{key}.threshold is {self.threshold}, expected above 0 and below 1")
        if self.largest_samples < FEWEST_SAMPLES:
            raise InputError(
                f"{key}.largest_samples is {self.largest_samples}, expected {FEWEST_SAMPLES} or "
                "more: with fewer, every estimate is withheld"
            )
        if not 0 <= self.discard_fraction < 1:
            raise InputError(
                f"{key}.discard_fraction is {self.discard_fraction}, expected 0 or more and below 1"
            )
        largest_scale = (FEWEST_SAMPLES - 1) // 2
        if any(not 2 <= scale <= largest_scale for scale in self.scales):
            raise InputError(
                f"{key}.scales is {list(self.scales)}, expected ranks from 2 to {largest_scale}"
            )
        if self.bootstraps < 2:
            raise InputError(f"{key}.bootstraps is {self.bootstraps}, expected at least 2")


@dataclass(frozen=True)
class IbSettings:
    """Section `probes.ib`.

    Attributes:
        threshold: Of the autocorrelation between samples.
        largest_samples: Most samples of an axis; shuffles take time and memory like n^2.
        components: Principal components d of each side, 3 at most.
        noise: Standard deviation of what is added to each component of T, relative to its own.
        num_neighbors: k, 5 at most.
        shuffles: B, 100 at least.
        controls: Draws of the positive control.
        tolerance: Largest relative error of the control.
    """

    threshold: float
    largest_samples: int
    components: int
    noise: float
    num_neighbors: int
    shuffles: int
    controls: int
    tolerance: float

    def __post_init__(self) -> None:
        """Refuse values that no probe could use."""
        wanted = {
            "threshold": (0 < self.threshold < 1, "above 0 and below 1"),
            "largest_samples": (
                FEWEST_SAMPLES <= self.largest_samples <= 10000,
                f"{FEWEST_SAMPLES} to 10000",
            ),
            "components": (1 <= self.components <= 3, "1 to 3"),
            "noise": (0 < self.noise < float("inf"), "above 0"),
            "num_neighbors": (1 <= self.num_neighbors <= MOST_SHUFFLED, f"1 to {MOST_SHUFFLED}"),
            "shuffles": (self.shuffles >= 100, "100 or more"),
            "controls": (self.controls >= 1, "1 or more"),
            "tolerance": (0 < self.tolerance < 1, "above 0 and below 1"),
        }
        for name, (usable, expected) in wanted.items():
            if not usable:
                value = getattr(self, name)
                raise InputError(f"probes.ib.{name} is {value}, expected {expected}")


@dataclass(frozen=True)
class SpectraSettings:
    """Section `probes.spectra`.

    Attributes:
        frames: Frames of the rollout, from 1 on, whose spectra are tabulated; the last one is that
            of the statistics.
        slope_shells: First and last shell of the slope's fit.
    """

    frames: tuple[int, ...]
    slope_shells: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse values that no probe could use."""
        if not self.frames or list(self.frames) != sorted(set(self.frames)) or self.frames[0] < 1:
            raise InputError(
                f"probes.spectra.frames is {list(self.frames)}, expected rising frames from 1 on"
            )
        if len(self.slope_shells) != 2:
            raise InputError(
                f"probes.spectra.slope_shells is {list(self.slope_shells)}, expected two shells, "
                "the first and the last"
            )


@dataclass(frozen=True)
class PatchingSettings:
    """Section `probes.patching`.

    Attributes:
        pairs: Pairs of samples for each kind of donor and recipient.
    """

    pairs: int

    def __post_init__(self) -> None:
        """Refuse values that no probe could use."""
        if self.pairs < 2:
            raise InputError(f"probes.patching.pairs is {self.pairs}, expected at least 2")


@dataclass(frozen=True)
class EditSettings:
    """How an edit is made; part of section `probes.rome`.

    Attributes:
        num_keys: Keys n, and the rank of the edit.
        preservation: rho, the weight of the preservation term.
        softness: lambda.
        iterations: Of L-BFGS for V*.
        keys_per_dimension: Most keys, per patch dimension, that C is made of.
    """

    num_keys: int = 8
    preservation: float = 1.0
    softness: float = 0.0
    iterations: int = 20
    keys_per_dimension: int = 100

    def __post_init__(self) -> None:
        """Refuse values that no edit could use."""
        for name in ("num_keys", "iterations"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"probes.rome.{name} is {getattr(self, name)}, expected at least 1"
                )
        for name in ("preservation", "softness"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"probes.rome.{name} is {getattr(self, name)}, expected 0 or more")
        if self.keys_per_dimension < FEWEST_KEYS_PER_DIMENSION:
            raise InputError(
                f"probes.rome.keys_per_dimension is {self.keys_per_dimension}, expected at least "
                f"{FEWEST_KEYS_PER_DIMENSION}"
            )


@dataclass(frozen=True, kw_only=True)
class RomeSettings(EditSettings):
    """Section `probes.rome`.

    Attributes:
        pairs: Pairs of an IND and an OOD sample whose patching effects choose the layer.
        threshold: Of the autocorrelation, below which frames count as independent.
    """

    pairs: int
    threshold: float

    def __post_init__(self) -> None:
        """Refuse values that no probe could use."""
        super().__post_init__()
        if self.pairs < 1:
            raise InputError(f"probes.rome.pairs is {self.pairs}, expected at least 1")
        if not 0 < self.threshold < 1:
            raise InputError(
                f"probes.rome.threshold is {self.threshold}, expected more than 0 and less than 1"
            )
