"""A checkpoint in use: forecasts in physical units, and the network itself for other tools."""

import shutil

import h5py
import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import chimera
import flows
from chimera.data.sources.importing import open_any
from chimera.figures.animation import animate
from chimera.files.artifacts import write_yaml
from chimera.files.tensors import write_tensors
from chimera.interface.errors import InputError
from chimera.models import build_model
from workspaces import command, sentence

MEAN, STD = [0.5, 0.1, -4.0], [2.0, 0.5, 0.3]


def write_checkpoint(folder, conditioning=(), grid=(16, 16), **known):
    """Write a network of random weights as stage `train` does, and return it."""
    model = {
        "type": "unet",
        "input_shape": [1 + len(conditioning), *grid],
        "out_channels": 1,
        "channels": [4, 8],
        "kernel_size": 3,
        "activation": "gelu",
        "norm": "batch",
        "dropout": 0.0,
        "use_skip": True,
    }
    torch.manual_seed(0)
    network = build_model(model).eval()
    K = 1 + len(conditioning)
    about = {
        "model": model,
        "fields": ["vorticity"],
        "conditioning": list(conditioning),
        "normalisation": {"mean": MEAN[:K], "std": STD[:K]},
    } | known
    write_tensors(folder / "model.safetensors", network.state_dict(), about)
    return network


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "checkpoints/unet/0"
    return folder, write_checkpoint(folder)


def by_hand(network, frames, steps):
    """Return frames + std f((frames - mean) / std), applied again and again."""
    found = []
    for _ in range(steps):
        with torch.no_grad():
            frames = frames + STD[0] * network((frames - MEAN[0]) / STD[0])
        found.append(frames)
    return torch.stack(found, dim=1)


def test_three_lines_load_forecast_and_compare(checkpoint):
    folder, network = checkpoint
    frames = flows.flow(3)[2][:, :, None]  # (B, T, C, H, W)
    forecaster = chimera.load(folder)
    forecast = forecaster.forecast(frames[:, :1], 4)
    expected = by_hand(network, torch.from_numpy(frames[:, 0]), 4)
    assert forecast.shape == (3, 4, 1, 16, 16)
    np.testing.assert_allclose(forecast, expected, atol=1e-5)
    tensor = forecaster.forecast(torch.from_numpy(frames[:, 0]), 4)
    np.testing.assert_array_equal(tensor.numpy(), forecast)
    np.testing.assert_array_equal(forecaster.forecast(frames[:, :3], 1)[:, 0],
                                  forecaster.forecast(frames[:, 2], 1)[:, 0])  # fmt: skip


def test_conditioning_is_a_number_one_each_or_a_field(tmp_path):
    network = write_checkpoint(tmp_path, ("forcing", "ln viscosity"))
    forecaster = chimera.load(tmp_path)
    frames = flows.flow(2)[2][:, 0, None]
    force = np.random.default_rng(0).standard_normal((2, 16, 16))
    found = forecaster.forecast(frames, 1, {"forcing": force, "viscosity": np.array([0.01, 0.02])})
    channels = [
        torch.from_numpy((frames[:, 0] - MEAN[0]) / STD[0]),
        torch.from_numpy((force - MEAN[1]) / STD[1]),
        torch.tensor((np.log([0.01, 0.02]) - MEAN[2]) / STD[2])[:, None, None].expand(2, 16, 16),
    ]
    with torch.no_grad():
        increment = network(torch.stack(channels, dim=1).float())
    expected = frames + STD[0] * increment.numpy()
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-5)
    one = forecaster.forecast(frames[:1], 1, {"forcing": force[:1], "viscosity": 0.01})
    np.testing.assert_allclose(one, found[:1], atol=1e-5)
    for given, words in (
        ({"forcing": force}, "conditioning has no 'viscosity', expected forcing, viscosity"),
        (np.zeros((2, 2)), "conditioning is a ndarray, expected names and values"),
        (
            {"forcing": force, "viscosity": [1, 2, 3]},
            r"viscosity has shape \(3,\), expected a number",
        ),
        (
            {"forcing": np.zeros((2, 32, 32)), "viscosity": 0.01},
            r"forcing has shape \(2, 32, 32\), expected a number, \(2,\) or \(2, 16, 16\)",
        ),
        (
            {"forcing": np.zeros((2, 1, 16)), "viscosity": 0.01},
            r"forcing has shape \(2, 1, 16\), expected a number",
        ),
        ({"forcing": force, "viscosity": "a"}, "viscosity cannot be used, expected real numbers"),
        ({"forcing": force, "viscosity": 0.01 + 1j}, "expected real numbers: .*complex128"),
        ({"forcing": force, "viscosity": -1.0}, "finite as ln viscosity"),
    ):
        with pytest.raises(InputError, match=words):
            forecaster.forecast(frames, 1, given)


def test_frames_that_do_not_fit_are_one_sentence(checkpoint):
    forecaster = chimera.load(checkpoint[0])
    frames = np.zeros((2, 1, 16, 16), dtype=np.float32)
    for spoiled, steps, words in (
        (frames[0], 1, r"frames have shape \(1, 16, 16\)"),
        (np.zeros((2, 2, 16, 16)), 1, r"frames have shape \(2, 2, 16, 16\).*C = 1"),
        (frames, 0, "steps is 0, expected at least 1 step"),
        (frames, 2.5, "steps is 2.5, expected at least 1 step"),
        (frames + 1j, 1, "frames cannot be used, expected real numbers: .*complex64"),
        (torch.from_numpy(frames + 1j), 1, "frames cannot be used, .*complex64"),
        (frames + np.nan, 1, "frames have values that are not finite"),
    ):
        with pytest.raises(InputError, match=words):
            forecaster.forecast(spoiled, steps)
    with pytest.raises(InputError, match=r"cannot read nowhere/model\.safetensors: No such file"):
        chimera.load("nowhere")
    assert forecaster.forecast(frames, np.int64(2)).shape == (2, 2, 1, 16, 16)


@pytest.mark.parametrize("device", ["banana", "meta", "cuda:63", 2.5])
def test_a_device_that_torch_lacks_is_one_sentence(checkpoint, device):
    with pytest.raises(InputError, match=rf"^device is {device!r}, expected one that torch has: "):
        chimera.load(checkpoint[0], device)


def inputs(folder):
    """Write one small file of each layout."""
    yield flows.write_pdebench(folder / "cfd.hdf5")
    yield flows.write_incompressible(folder / "ns.h5")
    yield flows.write_well(folder / "well.hdf5", extent=(6.0, 6.0))
    yield flows.write_arrays(folder / "arrays.npz")
    np.save(folder / "arrays.npy", flows.flow()[2][:, :, None])
    yield folder / "arrays.npy"
    u, v, vorticity = flows.flow()
    with h5py.File(folder / "arena.h5", "w") as file:
        for name, field in (("vx", u), ("vy", v), ("u", vorticity)):
            file[f"test/{name}"] = field.astype(np.float64)
        for axis in "xy":
            file[f"test/{axis}"] = np.tile(np.arange(16) * 2 * np.pi / 16, (4, 1))
    yield folder / "arena.h5"
    with h5py.File(folder / "fno.mat", "w") as file:
        file["u"] = vorticity.transpose(1, 3, 2, 0)
        file["t"] = np.arange(9.0)[:, None]
    yield folder / "fno.mat"


def test_a_file_of_every_layout_is_forecast(checkpoint, tmp_path):
    folder, network = checkpoint
    for number, path in enumerate(inputs(tmp_path)):
        output = tmp_path / f"forecast_{number}{'.npz' if number % 2 else '.nc'}"
        options = ["--checkpoint", str(folder), "--input", str(path)]
        printed = command(tmp_path, "forecast", *options, "--steps", "10", "--output", str(output))
        extent = (6.0, 6.0) if path.stem == "well" else (2 * np.pi, 2 * np.pi)
        truth = flows.flow(extent=extent)[2]
        if path.stem == "arena":  # of a closed box, where the derivative is a difference
            truth = np.gradient(
                flows.flow()[1], 2 * np.pi / 16, axis=2, edge_order=2
            ) - np.gradient(flows.flow()[0], 2 * np.pi / 16, axis=3, edge_order=2)
        expected = by_hand(network, torch.from_numpy(truth[:, :1].astype(np.float32)), 10)[:, :, 0]
        if output.suffix == ".npz":
            with np.load(output) as archive:
                found, errors = archive["trajectories"][:, :, 0], archive["nrmse"]
        else:
            assert open_any(output, ["vorticity"]).layout.num_frames == 10
            with h5py.File(output) as file:
                found, errors = file["t0_fields/vorticity"][...], file["nrmse"][...]
        np.testing.assert_allclose(found, expected, atol=2e-3)
        assert errors.shape == (4, 8), "the truth ends after 8 steps"
        difference = np.linalg.norm(found[:, :8] - truth[:, 1:], axis=(2, 3))
        ratio = difference / np.linalg.norm(truth[:, 1:], axis=(2, 3))
        np.testing.assert_allclose(errors, ratio, rtol=1e-3)
        assert f"step 8: nrmse {errors[:, 7].mean():.4g}" in printed
        assert "step 9" not in printed


def test_a_command_that_cannot_run_is_one_sentence(checkpoint, tmp_path):
    folder, _ = checkpoint
    path = flows.write_arrays(tmp_path / "a.npz")
    for change, words in (
        ({"--output": "forecast.png"}, "--output is forecast.png, expected one of .nc, .hdf5"),
        ({"--steps": "0"}, "--steps is 0, expected 1 to 2147483647"),
        ({"--steps": "100000000000"}, "--steps is 100000000000, expected 1 to 2147483647"),
        ({"--steps": "2000000000"}, "--steps is 2000000000, which takes 11,444.1 GiB, expected"),
        ({"--animation": "a.gif"}, "--animation is a.gif, expected a name in .webp"),
        ({"--trajectory": "4"}, "--trajectory is 4, expected 0 to 3"),
        ({"--field": "pressure"}, "--field is pressure, expected vorticity"),
        ({"--input": "gone.npz"}, "gone.npz is not a whole npz archive"),
        ({"--checkpoint": "gone"}, "cannot read gone/model.safetensors"),
    ):
        options = {
            "--checkpoint": str(folder),
            "--input": str(path),
            "--steps": "2",
            "--output": str(tmp_path / "forecast.nc"),
        }
        words_given = [word for pair in (options | change).items() for word in pair]
        assert words in sentence(command(tmp_path, "forecast", *words_given, expect=2))
        assert not (tmp_path / "forecast.nc").exists()


def test_a_file_of_another_frame_interval_is_named(tmp_path):
    """A step of the network is one interval of its training, here 0.25; the well's file has 0.1."""
    folder = tmp_path / "checkpoints/unet/0"
    write_checkpoint(folder, boundary=["periodic", "open"], frame_interval=0.25)
    forecaster = chimera.load(folder)
    assert (forecaster.boundary, forecaster.frame_interval) == (("periodic", "open"), 0.25)
    well, arrays = flows.write_well(tmp_path / "a.hdf5"), flows.write_arrays(tmp_path / "a.npz")
    options = ["forecast", "--checkpoint", "checkpoints/unet/0", "--output", "f.nc", "--input"]
    told = f"{well} has a frame interval of 0.1, a step of the network is 0.25, as in its training"
    for path, begins in ((well, told), (arrays, "step 1: nrmse")):  # arrays do not say theirs
        assert command(tmp_path, *options, str(path), "--steps", "3").startswith(begins)
        with h5py.File(tmp_path / "f.nc") as file:
            np.testing.assert_allclose(file["dimensions/time"][:], [0, 0.25, 0.5])
    write_checkpoint(folder)  # as they were written before 0.2
    assert (chimera.load(folder).boundary, chimera.load(folder).frame_interval) == (None, None)
    assert command(tmp_path, *options, str(well), "--steps", "3").startswith("step 1: nrmse")
    with h5py.File(tmp_path / "f.nc") as file:
        np.testing.assert_allclose(file["dimensions/time"][:], [0, 0.1, 0.2])


def test_an_output_that_would_replace_another_file_is_refused(checkpoint, tmp_path):
    flows.write_well(tmp_path / "in.hdf5")
    (tmp_path / "link.hdf5").symlink_to("in.hdf5")
    (tmp_path / "again").symlink_to("checkpoints/unet/0")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    inside, network = "outside of checkpoints/unet/0", "checkpoints/unet/0/model.safetensors"
    for change, words in (
        ({"--output": "in.hdf5"}, "--output is in.hdf5, expected another file than --input"),
        ({"--output": "x/../link.hdf5"}, "--output is x/../link.hdf5, expected another file"),
        ({"--errors": "./in.hdf5"}, "--errors is in.hdf5, expected another file than --input"),
        ({"--animation": "in.hdf5"}, "--animation is in.hdf5, expected another file than --input"),
        ({"--errors": "o.npz"}, "--errors is o.npz, expected another file than --output"),
        ({"--animation": "a", "--errors": "a"}, "--animation is a, expected another file than"),
        ({"--errors": network}, f"--errors is {network}, expected a file {inside}"),
        ({"--animation": "again/a.webp"}, "--animation is again/a.webp, expected a file outside"),
        ({"--export": "torch", "--output": network}, f"--output is {network}, expected a file"),
        ({"--export": "torch", "--output": "o.md"}, "the card of --output is o.md, expected"),
        ({"--export": "torch", "--output": "checkpoints/unet/0"}, "--output is checkpoints/unet/0"),
    ):
        options = {"--checkpoint": "checkpoints/unet/0", "--input": "in.hdf5", "--output": "o.npz"}
        words_given = [word for pair in (options | change).items() for word in pair]
        assert words in sentence(command(tmp_path, "forecast", *words_given, expect=2))
        after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        assert after == before, "nothing is written"


def test_an_animation_shows_the_trajectory_that_is_asked_for(checkpoint, tmp_path):
    folder, network = checkpoint
    truth = flows.flow()[2].astype(np.float32)
    flows.write_arrays(tmp_path / "a.npz")
    options = ["--checkpoint", str(folder), "--input", "a.npz", "--steps", "10", "--output", "f.nc"]
    command(tmp_path, "forecast", *options, "--animation", "a.webp", "--trajectory", "2")
    forecast = by_hand(network, torch.from_numpy(truth[2:3, :1]), 10)[0, :, 0].numpy()
    known = {"truth": truth[2, 1:], "forecast": forecast, "error": forecast[:8] - truth[2, 1:]}
    titles = [f"{step} frames after the last that is given" for step in range(1, 11)]
    animate(tmp_path / "expected.webp", {"": known}, titles, "vorticity")
    shown, expected = (picture(tmp_path / f"{name}.webp", 7) for name in ("a", "expected"))
    assert np.abs(shown - expected).mean() < 0.5  # of 255: roundings of the network
    assert np.abs(shown - picture(tmp_path / "a.webp", 0)).mean() > 5


def picture(path, frame):
    with Image.open(path) as file:
        assert file.n_frames == 10
        file.seek(frame)
        return np.asarray(file.convert("RGB"), dtype=float)


@pytest.mark.filterwarnings("ignore:No complete tensor found")
def test_the_exported_network_gives_equal_outputs_and_has_a_card(checkpoint, tmp_path):
    folder, _ = checkpoint
    options = ["--checkpoint", "../checkpoints/unet/0", "--export", "torch"]
    here = tmp_path / "here"  # another study's folder, whose numbers are not this network's
    known = {"sha256": {"data": "0" * 64}}
    write_yaml(here / "metrics/gates/verify/training.yaml", known)
    (here / "README.md").write_text("kept")
    command(here, "forecast", *options, "--output", "unet.pt2")
    assert (here / "README.md").read_text() == "kept"
    card = (here / "unet.md").read_text()
    assert "units of time" not in card
    assert yaml.safe_load(card.split("---")[1])["data_sha256"] == {}
    write_yaml(tmp_path / "metrics/gates/verify/training.yaml", known)
    write_checkpoint(folder, frame_interval=0.25)
    command(tmp_path, "forecast", "--checkpoint", "checkpoints/unet/0", "--export", "torch",
            "--output", "out/unet.pt2")  # fmt: skip
    step = torch.export.load(tmp_path / "out/unet.pt2").module()
    frames = torch.from_numpy(flows.flow(3)[2][:, 0, None])
    forecast = chimera.load(folder).forecast(frames, 1)[:, 0]
    assert torch.equal(step(frames), forecast)
    assert torch.equal(step(frames[:1]), chimera.load(folder).forecast(frames[:1], 1)[:, 0])
    text = (tmp_path / "out/unet.md").read_text()
    front = yaml.safe_load(text.split("---")[1])
    assert front["license"] == "mit"
    assert front["metrics"] == {}, "nothing was evaluated here"
    assert front["data_sha256"] == known["sha256"]
    assert len(front["weights_sha256"]) == 64
    assert "maps physical frames\n(B, 1, 16, 16) to (B, 1, 16, 16)" in text
    assert "one frame interval later (0.25 units of time)." in text
    shutil.rmtree(tmp_path / "out")
    given = [*options, "--output", "unet.pt2", "--input", "flow.npz"]
    refused = sentence(command(here, "forecast", *given, expect=2))
    assert "--input is given, expected none where --export is" in refused
