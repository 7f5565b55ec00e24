"""tuning/params.yaml: what is searched, and at what cost. Every model gets the same.

The search is quasi-random: trial k takes the k-th point of a scrambled Sobol sequence (Owen 1998).
Points are uniform in ln lr and ln weight decay, and the same for every model.
"""

from typing import Annotated

import numpy as np
from msgspec import Meta
from scipy.stats import qmc

from chimera.interface.errors import InputError
from chimera.interface.settings import Count, Index, Positive, Settings


class Repeats(Settings, frozen=True):
    """The best trials once more, from other seeds, and the very best `longer` times as long."""

    places: tuple[Index, ...]
    seeds: tuple[Count, ...]
    longer: Annotated[int, Meta(ge=2, le=1 << 10)]


class Search(Settings, frozen=True):
    """A search by trials of `steps` steps each, all from one seed, and repeats of the best."""

    seed: Index
    models: tuple[str, ...]
    trials: Annotated[int, Meta(ge=8, le=1 << 10)]
    steps: Count
    lr: tuple[Positive, Positive]
    weight_decay: tuple[Positive, Positive]
    repeats: Repeats

    def __post_init__(self) -> None:
        """Require a space that contains something, and a search that can bracket its best trial."""
        for name in ("lr", "weight_decay"):
            low, high = getattr(self, name)
            if not low < high:
                raise InputError(f"{name} is [{low:g}, {high:g}], expected a low end below a high")
        if any(place >= self.trials for place in self.repeats.places):
            places = list(self.repeats.places)
            raise InputError(f"repeats.places is {places}, expected each below {self.trials}")
        if not self.repeats.seeds:
            raise InputError("repeats.seeds is [], expected one or more")


def draws(search: Search) -> list[dict[str, float]]:
    """Return `lr` and `weight_decay` of every trial, at three digits."""
    names = ("lr", "weight_decay")
    points = qmc.Sobol(len(names), rng=search.seed).random(search.trials)
    low, high = np.log([getattr(search, name) for name in names]).T
    values = np.exp(qmc.scale(points, low, high))
    return [{n: float(f"{v:.3g}") for n, v in zip(names, row, strict=True)} for row in values]
