"""A small preregistration that the tests may bend, and parameters that fulfil it."""

import copy

import yaml

PARAMS = {
    "seed": 0,
    "replicates": [0, 1, 2],
    "baseline": "unet",
    "model_names": ["unet", "big"],
    "probe_names": ["twonn"],
    "datasets": ["ind_v1", "ood_force_v1"],
    "scale": {"name": "laptop"},
    "parity": {"tolerance": 0.05},
    "train": {"steps": 640, "lr": 0.004, "threads": 1},
    "evaluate": {"horizon": 20, "batch_size": 32},
    "probes": {"twonn": {"threshold": 0.2}},
    "models": {"unet": {"norm": "group", "source": "a.py"}, "big": {"norm": "group"}},
    "data": {
        "seed": 0,
        "manifests": "data/manifests",
        "datasets": {"ind_v1": {"drag": 0.1}, "ood_force_v1": {"drag": 0.1, "forcing": None}},
    },
}
PILOT = copy.deepcopy(PARAMS)
del PILOT["scale"], PILOT["train"]["threads"], PILOT["evaluate"]["batch_size"]
del PILOT["models"]["unet"]["source"], PILOT["data"]["manifests"]
STUDY = {
    "seed": 7,
    "replicates": list(range(12)),
    "probe_names": [],
    "datasets": ["ind_v1s", "ood_force_v1s"],
    "data": {"seed": 8},
}
PLAN = {
    "alpha": 0.05,
    "margin": 0.0953,
    "margin_frames": 1.0,
    "power": 0.8,
    "primary": "ood_nrmse",
    "secondary": ["ind_nrmse", "gap"],
    "correlations": ["twonn.ratio"],
    "weights": {"ood_force": 1.0},
    "stopping": {"first_look": 4, "last_look": 12, "prior_variance": 5.0},
    "pilot": PILOT,
    "study": STUDY,
}


def running(block="pilot", **changes):
    """Return the parameters of a run of the pilot, or of the study with all its replicates."""
    params = copy.deepcopy(PARAMS)
    if block == "study":
        described = params["data"]["datasets"]
        new = {f"{name}s": value for name, value in described.items()}
        params |= {name: STUDY[name] for name in STUDY if name != "data"}
        params["data"] |= {"seed": 8, "datasets": described | new}
    return params | changes


def bent(key, value):
    """Return the plan with another value at a dotted key; `...` removes it."""
    plan = copy.deepcopy(PLAN)
    *parents, last = key.split(".")
    section = plan
    for name in parents:
        section = section[name]
    if value is ...:
        del section[last]
    else:
        section[last] = value
    return plan


def markdown(plan):
    """Return the text of a preregistration."""
    return f"# Plan\n\n```yaml\n{yaml.safe_dump(plan, sort_keys=False)}```\n"
