"""Small tables as the stage aggregate writes them, with values made up.

Errors, rollouts and histories pass through the code that writes theirs; test_tables.py holds the
columns of the probes' tables to those that the probes return.
"""

from dataclasses import asdict

import numpy as np

from chimera.study.error_table import METRICS, error_rows, frame_rows
from chimera.training.loop import HistoryRow

MODELS = ("unet", "fractal_unet")
BASELINES = ("persistence", "linear")
AXES = ("ind", "ood_viscosity", "ood_decay")
SITES = {
    "unet": ("encoder0", "skip0", "bottleneck", "up0", "decoder0"),
    "fractal_unet": ("encoder0", "encoder0.column1", "skip0", "bottleneck", "up0", "decoder0"),
}


def runs(replicates=(0, 1)):
    return [{"model": m, "replicate": str(r)} for m in MODELS for r in replicates]


def text(rows):
    return [{name: str(value) for name, value in row.items()} for row in rows]


def evaluations(nrmse, axes=AXES, replicates=(0, 1), datasets=None, frames=4, trajectories=3):
    """Return what the stage evaluate writes for each run, where every trajectory is alike.

    Args:
        nrmse: Function of the model or baseline, the replicate and the axis.
        axes: Of the study.
        replicates: Of the study.
        datasets: Their names, where they are not those of the axes.
        frames: Of a rollout.
        trajectories: Of each axis.
    """

    def values(name, replicate, axis):
        error = nrmse(name, replicate, axis)
        return dict.fromkeys(METRICS, [0.3] * trajectories) | {
            "nrmse": [error] * trajectories,
            "frame_nrmse": [error * frame for frame in range(1, 1 + frames)],
            "frame_correlation": [0.9] * frames,
        }

    return {
        (model, r): {
            key: {
                dataset: values(name, r, axis)
                for dataset, axis in zip(datasets or axes, axes, strict=True)
            }
            for key, name in (("model", model), *zip(BASELINES, BASELINES, strict=True))
        }
        for model in MODELS
        for r in replicates
    }


def errors(nrmse, axes=AXES, replicates=(0, 1)):
    return text(error_rows(evaluations(nrmse, axes, replicates), axes))


def rollout(nrmse, axes=AXES, replicates=(0, 1)):
    return text(frame_rows(evaluations(nrmse, axes, replicates), axes))


def training(replicates=(0, 1), steps=(1, 2, 3)):
    return text(
        run | asdict(HistoryRow(step, 0.01, 0.1 / step, 1 / step))
        for run in runs(replicates)
        for step in steps
    )


def twonn(axes=AXES, sites=SITES, replicates=(0, 1)):
    rng = np.random.default_rng(0)
    return text(
        run
        | {"axis": axis, "site": site, "depth": depth, "samples": 1000, "duplicates": 0}
        | {"decorrelation_time": 4, "decorrelation_length": 8}
        | {"estimator": estimator, "scale": 1, "sd": 0.4}
        | {"first_scale": 1, "last_scale": 16, "low": 9.0, "high": 14.0}
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
        | {"dimensions": 3, "explained": 0.9, "half": 1.0, "quarter": 0.9, "null_mean": 0.01}
        | {"null_sd": 0.01, "p": 0.01, "gaussian": 1.0, "control": 1.0, "control_error": 0.02}
        | {"low": 0.9, "high": 1.1, "planted": 1.0}
        | {"linear": 1.0, "linear_low": 0.9, "linear_high": 1.1}
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
        | {"energy": factor * (k**-3.0 if k else 0.0), "enstrophy": factor, "transfer": 0.0}
        | {"energy_error": "", "phase_error": ""}
        for run in runs(replicates)
        for axis in axes
        for frame in (1, 8, 20)
        for quantity, factor in scale.items()
        for k in range(shells)
    )


def patching(axes=AXES, sites=SITES, replicates=(0, 1)):
    kinds = [("ind", "ind"), ("ind", "ood"), ("ood", "ind")][: None if len(axes) > 1 else 1]
    kinds += [("twin_phase", "ind"), ("twin_vortex", "ind")]
    return text(
        run
        | {"donor": donor, "recipient": recipient, "site": site, "depth": depth}
        | {"band": band, "sd": 0.1, "pairs": 16, "effect": 0.5}
        | {"null": 0.0, "p": 0.001, "complement": ""}
        | {"faithfulness": round(depth / len(sites[run["model"]]), 4)}
        for run in runs(replicates)
        for donor, recipient in kinds
        for depth, site in enumerate(sites[run["model"]])
        for band in ("all", "low", "mid", "high")
    )


METHODS = ("rome", "identity", "low_rank", "gradient", "unpreserved")


def rome(axes=AXES, replicates=(0, 1)):
    rng = np.random.default_rng(2)
    return text(
        run
        | {"axis": axis, "layer": "bottleneck.0", "effect": 0.3, "chosen": 1, "gap": 8}
        | {"method": method, "axes_drift": 0.1, "update_norm": 0.3, "objective": 0.7}
        | {"efficacy": round(0.5 + 0.1 * rng.normal(), 4), "ind_drift": round(0.01 * rank, 4)}
        | {"later_frames": round(0.1 * rng.normal(), 4), "other_trajectories": 0.02}
        for run in runs(replicates)
        for axis in axes[1:]
        for rank, method in enumerate(METHODS, start=1)
    )


PROBES = {"twonn": twonn, "ib": ib, "spectra": spectra, "patching": patching, "rome": rome}


def trials(best=0.05):
    """Return tuning/trials.csv, in which the middle of three rates is the best of each model."""
    rates, errors = (0.001, 0.02, 0.2), (2 * best, best, 1.5 * best)
    return text(
        {"model": m, "trial": k, "lr": rates[k], "weight_decay": 1e-4, "valid_nrmse": errors[k]}
        for m in MODELS
        for k in range(3)
    )


def repeats(gain=0.05):
    """Return tuning/repeats.csv: the two best again, and the best one at twice the steps."""
    runs = [(1, 1, 100, 0.04), (1, 2, 100, 0.042), (2, 1, 100, 0.06), (2, 2, 100, 0.07)]
    names = ("trial", "seed", "steps", "valid_nrmse")
    found = [*runs, (1, 1, 200, 0.04 * (1 - gain))]
    return text({"model": m, **dict(zip(names, run, strict=True))} for m in MODELS for run in found)
