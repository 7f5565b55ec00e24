"""Small tables with the columns that the stage aggregate writes, and values made up."""

import numpy as np

MODELS = ("unet", "fractal_unet")
AXES = ("ind", "ood_viscosity", "ood_decay")
SITES = {
    "unet": ("encoder0", "skip0", "bottleneck", "up0", "decoder0"),
    "fractal_unet": ("encoder0", "encoder0.column1", "skip0", "bottleneck", "up0", "decoder0"),
}


def runs(replicates=(0, 1)):
    return [{"model": m, "replicate": str(r)} for m in MODELS for r in replicates]


def text(rows):
    return [{name: str(value) for name, value in row.items()} for row in rows]


def twonn(axes=AXES, sites=SITES, replicates=(0, 1)):
    rng = np.random.default_rng(0)
    return text(
        run
        | {"axis": axis, "site": site, "depth": depth, "samples": 1000, "duplicates": 0}
        | {"estimator": estimator, "scale": 1, "sd": 0.4}
        | {"dimension": round(20 - 12 * abs(depth - 3) / 30 + rng.normal(), 4)}
        for run in runs(replicates)
        for axis in axes
        for depth, site in enumerate(sites[run["model"]])
        for estimator in ("linear", "mle")
    )


def ib(axes=AXES, sites=SITES, replicates=(0, 1), withheld=()):
    rng = np.random.default_rng(1)
    return text(
        run
        | {"axis": axis, "site": site, "depth": depth, "pair": pair, "samples": 900}
        | {"dimensions": 3, "half": 1.0, "quarter": 0.9, "null_mean": 0.01, "null_sd": 0.01}
        | {"p": 0.01, "gaussian": 1.0, "control": 1.0, "control_truth": 1.0}
        | {"information": round(2.5 - 0.1 * depth + 0.1 * rng.normal(), 4)}
        | {"withheld": int(site in withheld)}
        for run in runs(replicates)
        for axis in axes
        for depth, site in enumerate(("input", *sites[run["model"]]))
        for pair in (("x_t", "t_y") if depth else ("t_y",))
    )


def spectra(axes=AXES, replicates=(0, 1), shells=24):
    scale = {"encoder0": 3.0, "prediction": 0.9, "target": 1.0, "error": 0.05}
    return text(
        run
        | {"axis": axis, "frame": frame, "quantity": quantity, "wavenumber": k}
        | {"energy": factor * (k**-3.0 if k else 0.0), "enstrophy": factor}
        for run in runs(replicates)
        for axis in axes
        for frame in (1, 8, 20)
        for quantity, factor in scale.items()
        for k in range(shells)
    )


def patching(sites=SITES, replicates=(0, 1)):
    return text(
        run
        | {"donor": donor, "recipient": recipient, "site": site, "depth": depth}
        | {"direction": direction, "band": band, "sd": 0.1, "pairs": 16}
        | {"effect": round(depth / len(sites[run["model"]]), 4)}
        for run in runs(replicates)
        for donor, recipient in (("ind", "ind"), ("ind", "ood"), ("ood", "ind"))
        for depth, site in enumerate(sites[run["model"]])
        for direction in ("sufficiency", "necessity")
        for band in ("all", "low", "mid", "high")
    )


def rome(axes=AXES, replicates=(0, 1)):
    rng = np.random.default_rng(2)
    return text(
        run
        | {"axis": axis, "layer": "bottleneck.0", "gap": 8, "method": method, "update_norm": 0.3}
        | {"efficacy": round(0.5 + 0.1 * rng.normal(), 4), "ind_drift": round(0.01 * rank, 4)}
        | {"later_frames": round(0.1 * rng.normal(), 4), "other_trajectories": 0.02}
        for run in runs(replicates)
        for axis in axes[1:]
        for rank, method in enumerate(("rome", "gradient", "identity"), start=1)
    )
