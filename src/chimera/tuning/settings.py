"""tuning/params.yaml: what is searched, and at what cost. Every model gets the same."""

from chimera.interface.errors import InputError
from chimera.interface.settings import Count, Index, Positive, Settings


class Repeats(Settings, frozen=True):
    """The trainings that try the best trials of each model again, from other seeds."""

    places: tuple[Index, ...]
    seeds: tuple[Count, ...]


class Search(Settings, frozen=True):
    """A search by trials of `steps` steps each, all from one seed, and repeats of the best."""

    seed: Index
    models: tuple[str, ...]
    trials: tuple[Index, ...]
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
        if len(self.trials) < 8 or self.trials != tuple(range(len(self.trials))):
            raise InputError(f"trials is {list(self.trials)}, expected 0, 1, 2, ..., at least 8")
        if any(place >= len(self.trials) for place in self.repeats.places):
            raise InputError(
                f"repeats.places is {list(self.repeats.places)}, expected places of "
                f"{len(self.trials)} trials, counted from 0"
            )
