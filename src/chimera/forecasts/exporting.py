"""A trained network as a file of `torch.export`, for use without this package, and its model card.

B batch, C fields, K conditioning channels, H, W space.
"""

from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from chimera.files.artifacts import read_json, read_yaml, sha256, whole_file, write_text
from chimera.files.tensors import read_tensors
from chimera.models.forecasting import stepping
from chimera.models.forecasting.checkpoint import Trained, read_network

CARD = """---
{front}---

# {name}

One step of a trained network: `torch.export.load("{file}").module()(frames)` maps physical frames
(B, {channels}, {H}, {W}) to (B, {C}, {H}, {W}), one frame interval later.

Channels of the input: {inputs}. Channels of the output: {fields}.
"""


class PhysicalStep(nn.Module):
    """The step from frames (B, C + K, H, W) in physical units to the next (B, C, H, W)."""

    mean: Tensor
    std: Tensor

    def __init__(self, trained: Trained) -> None:
        super().__init__()
        self.network, self.num_fields = trained.network, len(trained.fields)
        self.register_buffer("mean", trained.mean)
        self.register_buffer("std", trained.std)

    def forward(self, frames: Tensor) -> Tensor:
        """Return the next fields."""
        C = self.num_fields
        following = stepping.step(self.network, (frames - self.mean) / self.std)[:, :C]
        return following * self.std[:C] + self.mean[:C]


def export_torch(folder: Path, path: Path) -> None:
    """Write the network of checkpoints/<model>/<replicate>, and README.md, its card, beside it."""
    weights = folder / "model.safetensors"
    trained, about = read_network(weights, torch.device("cpu")), read_tensors(weights)[1]
    channels, H, W = about["model"]["input_shape"]
    batch = torch.export.Dim("batch", min=1)
    example = torch.zeros(2, channels, H, W) + trained.mean
    program = torch.export.export(PhysicalStep(trained), (example,), dynamic_shapes=({0: batch},))
    with whole_file(path) as temporary, temporary.open("wb") as stream:
        torch.export.save(program, stream)
    name, run = "/".join(folder.parts[-2:]), Path("metrics/runs", *folder.parts[-2:])
    front = {
        "license": "mit",
        "library_name": "pytorch",
        "tags": ["fluid-dynamics", about["model"]["type"]],
        "metrics": _errors(run / "evaluate.json"),
        "data_sha256": _data(Path("metrics/gates/verify/training.yaml")),
        "weights_sha256": sha256(weights),
    }
    text = CARD.format(
        front=yaml.safe_dump(front, sort_keys=False),
        name=name,
        file=path.name,
        channels=channels,
        C=len(trained.fields),
        H=H,
        W=W,
        inputs=", ".join([*trained.fields, *trained.conditioning]),
        fields=", ".join(trained.fields),
    )
    write_text(path.with_name("README.md"), text)


def _errors(path: Path) -> dict[str, dict[str, float]]:
    """Return the mean one-step and rollout nRMSE by dataset, none where nothing was evaluated."""
    found = read_json(path)["model"] if path.exists() else {}
    return {
        dataset: {m: float(f"{fmean(errors[m]):.4g}") for m in ("nrmse", "rollout_nrmse")}
        for dataset, errors in found.items()
    }


def _data(path: Path) -> dict[str, Any]:
    """Return the digests of the files that the training read."""
    return dict(read_yaml(path)["sha256"]) if path.exists() else {}
