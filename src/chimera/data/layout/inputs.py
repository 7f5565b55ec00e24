"""The inputs of a training: the splits of a dataset, and what normalises each channel."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from chimera.data.layout.conditioning import conditioning_moments, with_logarithms
from chimera.data.layout.splits import Split
from chimera.data.layout.well import channel_moments
from chimera.files.artifacts import read_yaml


class Inputs(NamedTuple):
    """Splits of C fields and K conditioning channels."""

    train: Split
    valid: Split
    conditioning: tuple[str, ...]  # names of the K channels
    moments: dict[str, list[float]]  # `mean` and `std` of all channels of the train split (C + K,)


def open_inputs(folder: Path, fields: Sequence[str], conditioning: Sequence[str]) -> Inputs:
    """Open the splits of data/<dataset>, with the channels that params.yaml names."""
    scalars = Split(folder / "data/train", fields).scalars
    names = with_logarithms(conditioning, scalars)
    train, valid = (Split(folder / "data" / split, fields, names) for split in ("train", "valid"))
    known = channel_moments(read_yaml(folder / "stats.yaml"), fields)
    further = conditioning_moments(train.conditioning)
    return Inputs(train, valid, names, {m: known[m] + further[m] for m in known})
