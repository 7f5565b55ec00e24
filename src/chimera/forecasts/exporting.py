"""A trained network as a file of `torch.export`, for use without this package, and its model card.

B batch, C fields, K conditioning channels, P past frames, H, W space.
"""

from pathlib import Path
from statistics import fmean

import torch
import yaml

from chimera.evaluation.forecasters import PhysicalStep
from chimera.files.artifacts import read_json, read_yaml, sha256, whole_file, write_text
from chimera.files.tensors import read_tensors
from chimera.models.forecasting.checkpoint import read_network


def export_torch(folder: Path, path: Path) -> None:
    """Write the network of checkpoints/<model>/<replicate>, and its card, <name>.md, beside it.

    The card has errors and digests of the training's files where the pipeline that trained the
    network has left them in the checkpoint's work tree.
    """
    weights, cell = folder / "model.safetensors", "/".join(folder.parts[-2:])
    trained, about = read_network(weights, torch.device("cpu")), read_tensors(weights)[1]
    channels, H, W = about["model"]["input_shape"]
    example = torch.zeros(2, channels, H, W) + trained.mean
    batch = {0: torch.export.Dim("batch", min=1)}
    program = torch.export.export(PhysicalStep(trained), (example,), dynamic_shapes=(batch,))
    with whole_file(path) as temporary, temporary.open("wb") as stream:
        torch.export.save(program, stream)
    metrics = folder.resolve().parents[2] / "metrics"
    run, gate = metrics / "runs" / cell / "evaluate.json", metrics / "gates/verify/training.yaml"
    errors = read_json(run)["model"] if run.exists() else {}
    front = {
        "license": "mit",
        "library_name": "pytorch",
        "tags": ["fluid-dynamics", about["model"]["type"]],
        "metrics": {
            dataset: {m: float(f"{fmean(e[m]):.4g}") for m in ("nrmse", "rollout_nrmse")}
            for dataset, e in errors.items()
        },
        "data_sha256": read_yaml(gate)["sha256"] if gate.exists() else {},
        "weights_sha256": sha256(weights),
    }
    fields, C, interval = ", ".join(trained.fields), len(trained.fields), trained.frame_interval
    older = [f"{f} {p} before" for p in range(1, trained.past_frames) for f in trained.fields]
    text = (
        f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n\n# {cell}\n\n"
        f'`torch.export.load("{path.name}").module()(frames)` maps physical frames\n'
        f"(B, {channels}, {H}, {W}) to (B, {C}, {H}, {W}), one frame interval later"
        f"{f' ({interval:g} units of time)' if interval else ''}.\n\n"
        f"Channels: {', '.join([*trained.fields, *older, *trained.conditioning])}, to {fields}.\n"
    )
    write_text(path.with_suffix(".md"), text)
