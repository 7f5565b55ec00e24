"""A workspace in which two splits of travelling waves stand, for stages and commands that train."""

import numpy as np

from chimera.data.layout.recordings import Layout
from chimera.data.sources.well_writer import statistics, write_trajectories
from chimera.files.artifacts import write_yaml
from networks import FRACTAL

STEPS = 60
TRAIN = {
    "steps": STEPS,
    "batch_size": 8,
    "unroll": 2,
    "lr": 4e-3,
    "weight_decay": 1e-4,
    "schedule": "one_cycle",
    "warmup": 0.2,
    "gradient_clip": 1.0,
    "ema_decay": 0.9,
    "validate_every": 1,
    "log_every": 1,
    "save_every": 7,
    "device": "cpu",
    "devices": 1,
    "threads": 1,
    "precision": "float32",
    "deterministic": True,
    "compile": False,
    "memory": 1.0,
}
# Whatever depends on the batch's division or on the random generator is switched on.
MODEL = FRACTAL | {"channels": [4, 8], "dropout": 0.2, "drop_path": 0.3}


def write_workspace(folder, norm="group", **train):
    """Write what the stage reads: parameters, its gates, two splits of travelling waves."""
    model = MODEL | {"norm": norm}
    params = {"seed": 0, "datasets": ["waves"], "models": {"net": model}, "train": TRAIN | train}
    params["data"] = {"fields": ["vorticity"], "conditioning": [], "past_frames": 1}
    write_yaml(folder / "params.yaml", params)
    layout = {"boundary": ["periodic", "periodic"], "frame_interval": 0.25}
    ind = {"dataset": "waves", "layout": layout}
    verified = {"axes": {"ind": ind}, "sha256": {}}
    write_yaml(folder / "metrics/gates/verify/training.yaml", verified)
    write_yaml(folder / "metrics/gates/networks/net.yaml", {"source": {"unet": "digest"}})
    x = np.arange(16) * 2 * np.pi / 16
    rng = np.random.default_rng(0)
    for split in ("train", "valid"):
        phases = rng.uniform(0, 2 * np.pi, (6, 2, 1, 1, 1))
        t = 0.3 * np.arange(7)[:, None, None]
        waves = np.sin(x[:, None] + phases[:, 0] - t) + np.cos(2 * x + phases[:, 1] + t)
        path = folder / f"data/waves/data/{split}/waves.hdf5"
        path.parent.mkdir(parents=True)
        vorticity = waves.astype(np.float32)
        extent = (2 * np.pi, 2 * np.pi)
        layout = Layout("generated", (16, 16), 7, extent=extent, frame_interval=0.3)
        forcing = np.zeros_like(vorticity[:, 0])
        write_trajectories(path, vorticity, forcing, layout, "waves", {})
    stats = statistics(vorticity, forcing, 2 * np.pi)
    write_yaml(folder / "data/waves/stats.yaml", stats)
    return folder
