"""Figures show every run where it belongs, and equal rows give equal bytes."""

import io

import numpy as np
import pytest

from chimera.figures import errors_by_axis, rollout_curves, training_curves

MODELS = ("unet", "fractal_unet")
AXES = ("ind", "ood_viscosity")
RUNS = [(model, replicate) for model in MODELS for replicate in "01"]


def error_of(model, replicate, axis):
    return round(0.1 + len(model) / 100 + int(replicate) / 50 + AXES.index(axis), 4)


ERRORS = [
    {"model": m, "replicate": r, "axis": a, "nrmse": str(error_of(m, r, a))}
    for m, r in [*RUNS, ("persistence", "0"), ("linear", "0")]
    for a in AXES
]
TRAINING = [
    {"model": m, "replicate": r, "step": str(s), "train_loss": "0.1", "valid_nrmse": str(1 / s)}
    for m, r in RUNS
    for s in (1, 2, 3)
]
ROLLOUT = [
    row | {"frame": str(frame), "correlation": "0.9"} for row in ERRORS for frame in (1, 2, 3, 4)
]


def test_every_replicate_is_a_point_at_its_value():
    panel = errors_by_axis(ERRORS, MODELS).axes[0]
    drawn = sorted(round(float(y), 4) for line in panel.lines for y in line.get_ydata())
    assert drawn == sorted(float(row["nrmse"]) for row in ERRORS)
    bars = [bar.get_height() for bar in panel.patches]
    for model in MODELS:
        for axis in AXES:
            mean = np.mean([error_of(model, r, axis) for r in "01"])
            assert any(bar == pytest.approx(mean) for bar in bars)
    assert panel.get_ylabel() == "one-step nRMSE (dimensionless)"


def test_every_run_is_a_line():
    for panel in training_curves(TRAINING, MODELS).axes:
        assert len(panel.lines) == len(RUNS)
        assert panel.get_xlabel() == "optimiser step"
    panels = rollout_curves(ROLLOUT, MODELS, frame_interval=0.25).axes
    assert len(panels) == 2 * len(AXES)
    for panel in panels:
        assert len(panel.lines) == len(RUNS) + 1
        np.testing.assert_allclose(panel.lines[0].get_xdata(), [0.25, 0.5, 0.75, 1.0])


@pytest.mark.parametrize(
    ("suffix", "metadata"), [("png", {"Software": None}), ("svg", {"Date": None})]
)
def test_equal_rows_give_equal_bytes(suffix, metadata):
    contents = []
    for _ in range(2):
        stream = io.BytesIO()
        errors_by_axis(ERRORS, MODELS).savefig(stream, format=suffix, metadata=metadata)
        contents.append(stream.getvalue())
    assert contents[0] == contents[1]
