"""One training, set up from a dataset's folder, a model's section and a seed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from chimera.data.batches.streaming import read_splits
from chimera.data.batches.trajectories import Form
from chimera.data.layout.splits import open_inputs
from chimera.models.forecasting.building import build_model, fit_to_data
from chimera.models.forecasting.checkpoint import normalisation
from chimera.training.distributed import Group
from chimera.training.loop import Training
from chimera.training.settings import TrainSettings


def set_up(
    folder: Path,
    boundary: Sequence[str],
    fields: Sequence[str],
    conditioning: Sequence[str],
    section: Mapping[str, Any],
    settings: TrainSettings,
    entropy: tuple[int, ...],
    device: torch.device,
    group: Group = Group(),  # noqa: B008 - frozen
) -> tuple[Training, dict[str, Any]]:
    """Return a training that has not begun, and what its checkpoint says about the network.

    Args:
        folder: data/<dataset>; only its splits `train` and `valid` are opened.
        boundary: Of each direction of space, as in the dataset's layout.
        fields: Names of what is predicted.
        conditioning: Names of what is known beside it.
        section: Section `models.<name>`.
        settings: Section `train`, with what the model sets in its place.
        entropy: Seeds weights, dropout and drop-path through torch's generator, and the batches.
        device: Where the network is trained.
        group: The processes that share the batches.
    """
    train, valid, conditions, moments = open_inputs(folder, fields, conditioning)
    shape = len(fields), *train.layout.grid
    model = fit_to_data(section, shape, boundary, conditioning=len(conditions))
    torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
    network = build_model(model).to(device)
    form = Form(1 + settings.unroll, settings.batch_size, entropy, (group.rank, group.size))
    data = read_splits(train, valid, moments, form, device, int(settings.memory * 2**30))
    about = {
        "model": model,
        "fields": list(fields),
        "conditioning": list(conditions),
        "normalisation": normalisation(moments),
    }
    return Training(network, *data, settings, group, num_fields=len(fields)), about
