"""The animation of an axis shows the trajectories that it names, within its bytes."""

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from chimera.figures import watch_rollouts
from chimera.figures.settings import FigureSettings
from chimera.figures.watching import _LARGEST
from chimera.interface.errors import InputError

T, SIDE, MEAN, STD = 5, 32, 40.0, 2.0
DATASETS = ["flow", "flow_other"]


def wave(k):
    """Return a smooth field of amplitude 1, (H, W)."""
    x = np.arange(SIDE) * 2 * np.pi / SIDE
    return np.sin(k * x)[:, None] * np.cos(x)[None, :]


def truth(number, frame):
    """Return the normalised truth, of which every trajectory and frame has another amplitude."""
    return (number + 1) * (1 + frame / T) * wave(2)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Write kept rollouts of trajectories 0, 2 and 4 of five; the network errs by a wave."""
    monkeypatch.chdir(tmp_path)
    numbers = np.array([0, 2, 4])
    target = np.stack([[[truth(n, t)] for t in range(T)] for n in numbers]).astype(np.float16)
    made = (target + 0.5 * wave(3)).astype(np.float16)
    known = {name: np.full((1, 1, 1), v, np.float32) for name, v in (("mean", MEAN), ("std", STD))}
    for dataset in DATASETS:
        known |= {f"{dataset}.target": target, f"{dataset}.numbers": numbers}
    known["flow.solver_32"] = (target - 0.25 * wave(3)).astype(np.float16)
    for model in ("unet", "fractal_unet"):
        folder = tmp_path / f"metrics/runs/{model}/1"
        folder.mkdir(parents=True)
        save_file({f"{d}.rollouts": made for d in DATASETS}, folder / "fields.safetensors")
        save_file(known, folder / "references.safetensors")
    return {"datasets": DATASETS, "replicates": [1, 2], "model_names": ["unet", "fractal_unet"],
            "data": {"fields": ["vorticity"]}}  # fmt: skip


def test_an_axis_has_its_frames_a_still_and_bounded_bytes(runs, tmp_path):
    errors = {"ind": [[0.2, 9, 0.1, 9, 0.3]] * 4, "ood_flow_other": [[3, 0, 2, 0, 1]]}
    watch_rollouts(tmp_path, runs, errors, 0.5, FigureSettings())
    names = {f"{axis}{kind}.webp" for axis in errors for kind in ("", "-still")}
    assert {path.name for path in tmp_path.glob("*.webp")} == names
    for axis in errors:
        path = tmp_path / f"{axis}.webp"
        assert path.stat().st_size <= _LARGEST // 2
        with Image.open(path) as file, Image.open(tmp_path / f"{axis}-still.webp") as still:
            assert file.n_frames == T
            assert not getattr(still, "is_animated", False)
            assert still.size == file.size


def test_the_first_frame_of_the_truth_is_the_array(runs, tmp_path, monkeypatch):
    """Rows are ranked by their errors: best 2, median 0, worst 4, by (n + 1) of amplitude."""
    shown = {}
    monkeypatch.setattr(
        "chimera.figures.watching.animate",
        lambda path, rows, titles, *_, **__: shown.update({path.name: (rows, titles)}),
    )
    errors = {"ind": [[2, 9, 1, 9, 3]], "ood_flow_other": [[1] * 5]}
    watch_rollouts(tmp_path, runs, errors, 0.5, FigureSettings())
    rows, titles = shown["ind.webp"]
    assert list(rows) == [f"{rank}, no. {n}\nrollout {error}" for rank, n, error in (
        ("best", 2, "1.00"), ("median", 0, "2.00"), ("worst", 4, "3.00"))]  # fmt: skip
    for number, maps in zip((2, 0, 4), rows.values(), strict=True):
        np.testing.assert_allclose(maps["truth"][0], MEAN + STD * truth(number, 0), atol=0.03)
        assert list(maps) == ["truth", "UNet", "FractalUNet", "solver 32", "UNet\nerror",
                              "FractalUNet\nerror", "solver 32\nerror"]  # fmt: skip
        np.testing.assert_allclose(maps["UNet\nerror"][T - 1], STD * 0.5 * wave(3), atol=0.03)
        wrong = STD * -0.25 * wave(3)
        np.testing.assert_allclose(maps["solver 32\nerror"][T - 1], wrong, atol=0.03)
    for maps in shown["ood_flow_other.webp"][0].values():
        assert list(maps)[1:3] == ["UNet", "FractalUNet"]
        assert len(maps) == 5, "without a solver"
    assert titles == [f"IND, replicate 1: time {t}" for t in ("0.5", "1", "1.5", "2", "2.5")]


def test_one_network_and_another_replicate_can_be_asked_for(runs, tmp_path):
    asked = FigureSettings(models=("unet",), replicate=2)
    with pytest.raises(InputError, match="runs/unet/2/references"):
        watch_rollouts(tmp_path, runs, {}, 0.5, asked)
