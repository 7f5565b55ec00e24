"""Train one model on IND with the seed of one replicate; resume the training if it was killed.

Writes checkpoints/<model>/<replicate>/model.safetensors (weights, the model's settings, the
normalisation, boundary and frame interval of the data), history.csv and provenance.yaml (the class
of bytes, versions and the digests of the network's source). With `train.devices` above 1, torch's
launcher runs the command once for each.
"""

import sys
from argparse import Namespace
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch.distributed import is_torchelastic_launched

from chimera.files.artifacts import read_params, read_yaml, write_csv, write_yaml
from chimera.files.tensors import write_tensors
from chimera.interface.errors import guarded
from chimera.interface.settings import as_plain
from chimera.interface.versions import report_differing_versions
from chimera.models.forecasting.devices import describe, device_type, prepare_device
from chimera.stages import read_keys
from chimera.training.cell import set_up
from chimera.training.distributed import Group, launch, process_group
from chimera.training.resumption import fingerprint, run_resumable, scratch_folder
from chimera.training.settings import TrainSettings, train_settings


def train_model(
    options: Namespace, params: dict[str, Any], settings: TrainSettings, group: Group
) -> None:
    """Train in this process, alone or as one of a group."""
    gate, data = read_yaml(Path("metrics/gates/verify/training.yaml")), params["data"]
    ind, entropy = gate["axes"]["ind"], (params["seed"], options.replicate)
    numerics = {"tf32": settings.precision == "tf32", "deterministic": settings.deterministic}
    device = prepare_device(settings.device, settings.threads, number=group.rank, **numerics)
    inputs = data["fields"], data["conditioning"], data["past_frames"]
    folder, layout = Path("data") / ind["dataset"], ind["layout"]
    section = params["models"][options.model]
    training, about = set_up(folder, layout, *inputs, section, settings, entropy, device, group)
    identity = {"entropy": entropy, "train": as_plain(settings), **about}
    key = f"train-{options.model}-{options.replicate}"
    if group.rank == 0:
        report_differing_versions(key)
    sources = read_yaml(Path(f"metrics/gates/networks/{options.model}.yaml"))["source"]
    root, digest = Path(".scratch"), fingerprint(identity, gate["sha256"] | sources)
    alone = scratch_folder(root, key, digest)  # one process locks it for the others
    with alone if group.rank == 0 else nullcontext(root / key / digest) as scratch:
        run_resumable(training, key, scratch)
        if group.rank == 0:
            folder = Path("checkpoints", options.model, str(options.replicate))
            write_tensors(folder / "model.safetensors", training.weights(), about)
            write_csv(folder / "history.csv", [asdict(row) for row in training.history])
            write_yaml(folder / "provenance.yaml", describe(device) | {"network": sources})


def main() -> None:
    """Run the stage."""
    options, params = read_keys(model=str, replicate=int), read_params()
    model = params["models"][options.model]
    settings = train_settings(params["train"], model, f"models.{options.model}")
    kind = device_type(settings.device, settings.devices)
    if settings.devices > 1 and not is_torchelastic_launched():
        launch("chimera.stages.train", sys.argv[1:], settings.devices)
    else:
        with process_group(kind, settings.devices) as group:
            train_model(options, params, settings, group)


if __name__ == "__main__":
    guarded(main)
