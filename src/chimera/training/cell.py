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
    layout: Mapping[str, Any],
    fields: Sequence[str],
    conditioning: Sequence[str],
    past_frames: int,
    section: Mapping[str, Any],
    settings: TrainSettings,
    entropy: tuple[int, ...],
    device: torch.device,
    group: Group = Group(),  # noqa: B008 - frozen
) -> tuple[Training, dict[str, Any]]:
    """Return a training that has not begun, and what its checkpoint says about the network.

    Of `folder`, a dataset, only the splits `train` and `valid` are opened; `layout` has its
    boundary by direction and its frame interval. `fields` are predicted from `past_frames` of them
    and from what is known beside them, `conditioning`. `section` is models.<name>, `settings` those
    of train with what it sets. `entropy` seeds weights, dropout and drop-path through torch's
    generator, and the batches.
    """
    train, valid, conditions, moments = open_inputs(
        folder, fields, conditioning, settings.trajectories
    )
    shape, K = (len(fields), *train.layout.grid), len(conditions)
    model = fit_to_data(section, shape, layout["boundary"], conditioning=K, past_frames=past_frames)
    torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
    network = build_model(model).to(device)
    share, length = (group.rank, group.size), past_frames + settings.unroll
    form = Form(length, settings.batch_size, entropy, share)
    data = read_splits(train, valid, moments, form, device, int(settings.memory * 2**30))
    about: dict[str, Any] = {
        "model": model,
        "fields": list(fields),
        "conditioning": list(conditions),
        "normalisation": normalisation(moments),
        "boundary": layout["boundary"],
        "frame_interval": layout["frame_interval"],
    }
    if past_frames > 1:
        about["past_frames"] = past_frames
    return Training(network, *data, settings, group, len(fields), past_frames), about
