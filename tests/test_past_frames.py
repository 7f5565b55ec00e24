"""Several past frames: `data.past_frames` from the windows of the training to a forecast.

A network by hand, f(x_t, x_{t-1}) = x_t - x_{t-1}, forecasts the straight line through the last two
frames, so that x_{t+k} = x_t + k (x_t - x_{t-1}) in every place that makes forecasts.
"""

import numpy as np
import pytest
import torch
import yaml
from msgspec.structs import replace
from torch import nn

import chimera
import flows
from chimera.data.batches.trajectories import Form, Order, Windows
from chimera.data.settings import read_data
from chimera.data.sources.importing import import_dataset
from chimera.evaluation.errors import evaluate, limit_horizon
from chimera.evaluation.forecasters import PhysicalStep, network_forecaster, persistence
from chimera.evaluation.settings import EvaluateSettings
from chimera.files.tensors import read_tensors, write_tensors
from chimera.interface.errors import InapplicableError, InputError
from chimera.models import build_model
from chimera.models.forecasting.building import fit_to_data
from chimera.models.forecasting.checkpoint import Trained, read_network
from chimera.models.forecasting.stepping import rollout, states, step
from chimera.models.parity import count
from chimera.planning.composition import compose
from chimera.probes.common.subject import Subject
from chimera.probes.patching.twins import make_twins
from chimera.training.loop import VALID_SPACING, Training
from chimera.training.settings import train_settings
from networks import FRACTAL, UNET, Expression
from workspaces import command, sentence

SETTINGS = train_settings(yaml.safe_load(compose(["scale=smoke"]))["train"], {})
SETTINGS = replace(SETTINGS, steps=12, batch_size=4, validate_every=5, log_every=2, device="cpu")
EVALUATE = EvaluateSettings(
    horizon=3, batch_size=2, valid_correlation=0.8, field_frame=2, device="cpu", threads=1
)


def numbered(n=2, T=6, C=2, K=1):
    """Return frames (n, T, C + K, 1, 1) of which each field is 100 n + 10 t + c, and c < 0 is K."""
    i, t, c = torch.meshgrid(torch.arange(n), torch.arange(T), torch.arange(C), indexing="ij")
    fields = (100 * i + 10 * t + c).float()
    known = -1.0 - torch.arange(n)[:, None, None].expand(n, T, K)
    return torch.cat([fields, known], dim=2)[..., None, None]


def line(C):
    """Return the network of the straight line; a parameter of no effect makes it trainable."""
    return Expression(lambda x, _: x[:, :C] - x[:, C : 2 * C], nn.Conv2d(1, 1, 1))


def test_a_state_has_the_newest_frame_first_and_the_conditioning_last():
    found = states(numbered(), 3, 2)[..., 0, 0]
    assert found.shape == (2, 4, 7)
    assert found[0, 0].tolist() == [20, 21, 10, 11, 0, 1, -1]
    assert found[1, 3].tolist() == [150, 151, 140, 141, 130, 131, -2]
    assert torch.equal(states(numbered(), 3, 2, every=3)[..., 0, 0], found[:, ::3])
    assert torch.equal(states(numbered(), 1, 2), numbered()), "a state of one frame is the frame"


def test_a_step_moves_the_frames_back_and_keeps_the_conditioning():
    state = states(numbered(), 3, 2)[:, 0]
    found = step(line(2), state, 3)[0, :, 0, 0]
    assert found.tolist() == [30, 31, 20, 21, 10, 11, -1]
    alone = step(line(2), states(numbered(K=0), 2, 2)[:, 0], 2)[1, :, 0, 0]
    assert alone.tolist() == [120, 121, 110, 111], "without conditioning"
    torch.testing.assert_close(rollout(line(2), state, 3, 3), states(numbered(), 3, 2)[:, 1:])


@pytest.mark.parametrize("K", [0, 1])
def test_the_straight_line_is_forecast_exactly_and_a_parabola_errs_by_its_curvature(K):
    """Of x_t = t^2 x_0 the line through t = 1, 2 is (3 k + 4) x_0, k frames after t = 2."""
    first = torch.rand(3, 1, 2, 4, 4, generator=torch.Generator().manual_seed(0)).double() + 1
    moments = [
        torch.tensor(v).double()[:, None, None] for v in ([3.0, 1, 3, 1, 3, 1], [2.0, 5] * 3)
    ]
    moments = [torch.cat([m, torch.ones(K, 1, 1)]) for m in moments]
    trained = Trained(line(2), *moments, ("u", "v"), ("c",)[:K], 3)
    forecaster = network_forecaster(trained, torch.zeros(3, K, 4, 4).double())
    straight = torch.cat([first * t for t in range(1, 8)], dim=1)
    values, forecasts = evaluate(forecaster, straight, EVALUATE, 3)
    assert max(max(values["nrmse"]), max(values["rollout_nrmse"])) < 1e-12
    torch.testing.assert_close(forecasts, straight[:, 3:6])
    parabola = torch.cat([first * t**2 for t in range(7)], dim=1)
    values, _ = evaluate(forecaster, parabola, EVALUATE, 3)
    expected = [1 - (4 + 3 * k) / (2 + k) ** 2 for k in (1, 2, 3)]
    assert values["frame_nrmse"] == pytest.approx(expected)
    one_step = [2 / t**2 for t in range(3, 7)]  # t^2 - (2 (t - 1)^2 - (t - 2)^2)
    assert values["nrmse"] == pytest.approx([sum(one_step) / 4] * 3)
    stays, _ = evaluate(persistence, parabola, EVALUATE, 3)
    assert stays["frame_nrmse"] == pytest.approx([1 - 4 / (2 + k) ** 2 for k in (1, 2, 3)])
    assert stays["nrmse"] == pytest.approx([sum((2 * t - 1) / t**2 for t in range(3, 7)) / 4] * 3)
    assert limit_horizon(replace(EVALUATE, horizon=9), 7, 3).horizon == 4


def test_every_window_of_the_training_is_drawn_once_an_epoch():
    """Two trajectories of 6 frames have 2 x 3 windows of 3 past frames and 1 following."""
    order = Order(2, 6, Form(4, 3, (0,)))
    drawn = torch.cat([order.batch(k, torch.device("cpu")) for k in range(2)])
    assert sorted(drawn.tolist()) == [0, 1, 2, 6, 7, 8]
    with pytest.raises(InputError, match=r"have 6 frames, expected at least 7 \(data.past_frames"):
        Order(2, 6, Form(7, 3, (0,)))


@pytest.mark.parametrize("unroll", [1, 2])
def test_loss_and_validation_are_those_of_the_straight_line(unroll):
    generator = torch.Generator().manual_seed(0)
    frames = torch.randn(2, 10, 3, 4, 4, generator=generator)
    windows = Windows(frames, Form(3 + unroll, 4, (0,)))
    settings = replace(SETTINGS, unroll=unroll)
    one = Training(line(2), windows, frames, settings, num_fields=2, past_frames=3)
    x = windows.batch(0)[:, :, :2]
    errors = [x[:, 2] + k * (x[:, 2] - x[:, 1]) - x[:, 2 + k] for k in range(1, 1 + unroll)]
    expected = torch.stack(errors).square().mean()
    loss = one._objective(windows.batch(0))
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    ends = [t for t in range(2, 9) if (t - 2) % VALID_SPACING == 0]
    assert ends == [2, 6]
    x, ratios = frames[:, :, :2], []
    for t in ends:
        error = 2 * x[:, t] - x[:, t - 1] - x[:, t + 1]
        ratios.append(error.flatten(2).norm(dim=2) / x[:, t + 1].flatten(2).norm(dim=2))
    assert one.valid_nrmse() == pytest.approx(float(torch.stack(ratios).mean()), rel=1e-5)


@pytest.mark.parametrize("step", [1, 6, 11])
def test_resuming_changes_nothing(tmp_path, step):
    frames = torch.randn(3, 8, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    fields = UNET | {"channels": [4, 8], "norm": "batch", "dropout": 0.2, "input_shape": [4, 8, 8]}

    def run(seed):
        torch.manual_seed(seed)
        windows = Windows(frames, Form(5, 4, (0,)))
        network = build_model(fields | {"out_channels": 1})
        settings = replace(SETTINGS, unroll=2)
        return Training(network, windows, frames, settings, num_fields=1, past_frames=3)

    killed = run(0)
    while killed.completed < step:
        killed.advance()
    write_tensors(tmp_path / "state", *killed.state())
    resumed = run(99)
    resumed.restore(*read_tensors(tmp_path / "state"))
    while not resumed.finished:
        resumed.advance()
    whole = run(0)  # one at a time: they draw from one generator
    while not whole.finished:
        whole.advance()
    assert whole.history == resumed.history
    for name, tensor in whole.weights().items():
        assert torch.equal(tensor, resumed.weights()[name]), name


@pytest.mark.parametrize("settings", [UNET, FRACTAL])
def test_parity_counts_the_further_channels(settings):
    """A convolution of 3 x 3 at its head (4 channels): 3 frames of 2 fields more are 6 channels.

    In a fractal block of two columns both begin at the input.
    """
    sizes = []
    for P in (1, 4):
        fitted = fit_to_data(
            settings | {"input_shape": [None] * 3}, (2, 16, 16), ["periodic"] * 2,
            conditioning=1, past_frames=P,
        )  # fmt: skip
        assert fitted["input_shape"] == [2 * P + 1, 16, 16]
        assert fitted["out_channels"] == 2
        sizes.append(count(build_model(fitted), fitted["input_shape"]))
    heads = 2 if settings is FRACTAL else 1
    weights = heads * 6 * 9 * 4
    assert sizes[1][0] - sizes[0][0] == weights
    assert sizes[1][1] - sizes[0][1] == weights * 16 * 16


def checkpoint(folder, P=3):
    """Write a network of random weights that forecasts vorticity from P frames and a viscosity."""
    model = UNET | {"input_shape": [P + 1, 16, 16], "out_channels": 1, "channels": [4, 8]}
    torch.manual_seed(0)
    network = build_model(model).eval()
    about = {
        "model": model,
        "fields": ["vorticity"],
        "conditioning": ["ln viscosity"],
        "normalisation": {"mean": [0.5, -4.0], "std": [2.0, 0.3]},
        "past_frames": P,
    }
    write_tensors(folder / "model.safetensors", network.state_dict(), about)
    return network


def by_hand(network, frames, viscosity, steps):
    """Return the forecast (B, steps, H, W) from frames (B, 3, H, W), the oldest first."""
    x = [torch.from_numpy(frames[:, t]) for t in range(3)]
    known = torch.tensor((np.log(viscosity) + 4.0) / 0.3).float()[:, None, None].expand_as(x[0])
    for _ in range(steps):
        given = [(one - 0.5) / 2 for one in (x[-1], x[-2], x[-3])]
        with torch.no_grad():
            x.append(x[-1] + 2 * network(torch.stack([*given, known], dim=1))[:, 0])
    return torch.stack(x[3:], dim=1)


def test_a_checkpoint_forecasts_from_its_past_frames(tmp_path):
    network = checkpoint(tmp_path)
    forecaster = chimera.load(tmp_path)
    assert forecaster.past_frames == 3
    frames, viscosity = flows.flow(2)[2][:, :5, None], np.array([0.01, 0.02])
    found = forecaster.forecast(frames, 4, {"viscosity": viscosity})
    np.testing.assert_allclose(
        found[:, :, 0], by_hand(network, frames[:, 2:, 0], viscosity, 4), atol=1e-5
    )
    for short in (frames[:, 0], frames[:, :2]):
        with pytest.raises(InputError, match=r"frames have shape .*T >= 3, C = 1: vorticity"):
            forecaster.forecast(short, 1, {"viscosity": viscosity})
    trained = read_network(tmp_path / "model.safetensors", torch.device("cpu"))
    assert trained.mean.flatten().tolist() == [0.5, 0.5, 0.5, -4.0]
    known = torch.log(torch.tensor(viscosity)).float()[:, None, None, None].expand(2, 1, 16, 16)
    past = torch.from_numpy(frames[:, [4, 3, 2], 0])
    exported = PhysicalStep(trained)(torch.cat([past, known], dim=1))
    np.testing.assert_allclose(exported.detach(), found[:, 0], atol=1e-5)


def test_the_command_forecasts_what_follows_the_past_frames(tmp_path):
    network = checkpoint(tmp_path / "c")
    path = flows.write_arrays(tmp_path / "a.npz")  # 4 trajectories of 9 frames
    options = ["--checkpoint", "c", "--input", str(path), "--output", "f.npz", "--steps", "8"]
    printed = command(tmp_path, "forecast", *options)
    truth = flows.flow()[2]
    with np.load(tmp_path / "f.npz") as archive:
        found, errors = archive["trajectories"][:, :, 0], archive["nrmse"]
    expected = by_hand(network, truth[:, :3], np.linspace(0.01, 0.04, 4), 8)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert errors.shape == (4, 6), "the truth ends 6 steps after the third frame"
    ratio = np.linalg.norm(found[:, :6] - truth[:, 3:], axis=(2, 3))
    ratio /= np.linalg.norm(truth[:, 3:], axis=(2, 3))
    np.testing.assert_allclose(errors, ratio, rtol=1e-3)
    assert "step 6" in printed
    assert "step 7" not in printed
    flows.write_arrays(path, T=2)
    error = sentence(command(tmp_path, "forecast", *options, expect=2))
    assert "frames have shape (1, 2, 1, 16, 16)" in error
    assert "T >= 3" in error


def test_twins_are_withheld_because_a_solver_s_state_is_one_frame():
    frames = torch.randn(2, 4, 2, 8, 8)
    one = torch.ones(1, 1, 1)
    subject = Subject(line(1), {"ind": frames}, 0 * one, one, 6.28, past_frames=2)
    with pytest.raises(
        InapplicableError, match=r"withheld: data\.past_frames is 2, expected 1, as"
    ):
        make_twins(subject, "phase", 2, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, r"data\.past_frames is 0, expected"),
        (-1, r"data\.past_frames is -1, expected"),
        (1.5, r"data\.past_frames is 1\.5, expected"),
        (9, r"data\.past_frames is 9, expected less than num_frames \(9\)"),
    ],
)
def test_a_number_that_cannot_be_used_is_one_sentence(value, words):
    section = yaml.safe_load(compose(["scale=smoke"]))["data"]
    assert read_data(section | {"past_frames": 8}).past_frames == 8
    with pytest.raises(InputError, match=words):
        read_data(section | {"past_frames": value})


def test_files_need_a_frame_after_the_past_ones(tmp_path):
    root = flows.write_well(tmp_path / "waves.hdf5", 4)
    section = yaml.safe_load(compose(["data=well", f"data.root={root}"]))["data"]
    import_dataset("ind", read_data(section | {"past_frames": 8}), tmp_path / "eight")
    with pytest.raises(InputError, match=r"past_frames is 9, expected less than the 9 frames of"):
        import_dataset("ind", read_data(section | {"past_frames": 9}), tmp_path / "nine")
