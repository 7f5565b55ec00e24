"""The inputs of a training: the splits of a dataset, and what normalises each channel."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from chimera.data.layout.conditioning import conditioning_moments, with_logarithms
from chimera.data.layout.splits import Split
from chimera.data.layout.well import channel_moments
from chimera.files.artifacts import read_yaml


class Inputs(NamedTuple):
    """Splits of C fields and K conditioning channels.

    Attributes:
        train: The training split.
        valid: The validation split.
        conditioning: Names of the K channels.
        moments: `mean` and `std` of every channel of the training split, (C + K,).
    """

    train: Split
    valid: Split
    conditioning: tuple[str, ...]
    moments: dict[str, list[float]]


def open_inputs(folder: Path, fields: Sequence[str], conditioning: Sequence[str]) -> Inputs:
    """Open the splits of data/<dataset>, with the channels that params.yaml names."""
    scalars = Split(folder / "data/train", fields).scalars
    names = with_logarithms(conditioning, scalars)
    train, valid = (Split(folder / "data" / split, fields, names) for split in ("train", "valid"))
    known = channel_moments(read_yaml(folder / "stats.yaml"), fields)
    further = conditioning_moments(train.conditioning)
    return Inputs(train, valid, names, {m: known[m] + further[m] for m in known})
