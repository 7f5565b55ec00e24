"""Training: a function of seed and state alone, whatever interrupts it."""

import math
from functools import partial

import pytest
import torch
from msgspec.structs import replace
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import networks
from chimera.data.batches.trajectories import Form, Windows
from chimera.files.tensors import read_tensors, write_tensors
from chimera.interface.errors import InputError
from chimera.interface.settings import as_plain, read_settings
from chimera.models import build_model
from chimera.training.loop import VALID_SPACING, Objective, Training
from chimera.training.schedules import learning_rate
from chimera.training.settings import TrainSettings, train_settings

SETTINGS = TrainSettings(
    steps=12,
    batch_size=4,
    unroll=1,
    lr=1e-2,
    weight_decay=1e-2,
    schedule="one_cycle",
    warmup=0.25,
    gradient_clip=1.0,
    ema_decay=0.0,
    validate_every=5,
    log_every=2,
    save_every=3,
    device="cpu",
    devices=1,
    threads=1,
    precision="float32",
    deterministic=True,
    compile=False,
)
CHANGES = {"input_shape": [1, 8, 8], "channels": [4, 8], "norm": "batch", "dropout": 0.2}
UNET = networks.UNET | CHANGES
FRACTAL = networks.FRACTAL | CHANGES | {"drop_path": 0.3}


def frames(seed=0, n=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 6, 1, 8, 8, generator=generator)


def training(settings=SETTINGS, fields=UNET, seed=0):
    """Return a run as the stage starts it."""
    torch.manual_seed(seed)
    windows = Windows(frames(), Form(1 + settings.unroll, settings.batch_size, (seed, 0)))
    return Training(build_model(fields), windows, frames(1), settings)


def finish(one):
    while not one.finished:
        one.advance()
    return one


def same(one, other):
    """Assert that two runs ended in equal bytes."""
    weights = one.weights(), other.weights()
    assert weights[0].keys() == weights[1].keys()
    for name in weights[0]:
        assert torch.equal(weights[0][name], weights[1][name]), name
    assert one.history == other.history


@pytest.mark.parametrize("fields", [UNET, FRACTAL])
@pytest.mark.parametrize("step", [1, 4, 5, 6, 11, 12])
def test_resuming_at_any_step_changes_nothing(tmp_path, fields, step):
    settings = replace(SETTINGS, unroll=2, ema_decay=0.9)
    whole = finish(training(settings, fields))
    killed = training(settings, fields)
    while killed.completed < step:
        killed.advance()
    write_tensors(tmp_path / "state", *killed.state())
    resumed = training(settings, fields, seed=99)
    resumed.train = killed.train
    resumed.restore(*read_tensors(tmp_path / "state"))
    same(finish(resumed), whole)


@pytest.mark.parametrize("step", [0, 1, 2])
@pytest.mark.parametrize("seed", range(4))
def test_resuming_before_drop_path_has_tried_every_column_changes_nothing(tmp_path, seed, step):
    settings = replace(SETTINGS, steps=6)
    fields = FRACTAL | {"columns": 3, "drop_path": 0.6}
    whole = finish(training(settings, fields, seed))
    killed = training(settings, fields, seed)
    while killed.completed < step:
        killed.advance()
    untouched = [name for name, p in killed.parameters.items() if p.grad is None]
    assert untouched  # otherwise this is the test above
    write_tensors(tmp_path / "state", *killed.state())
    resumed = training(settings, fields, seed)
    resumed.advance()  # whatever was there before is forgotten
    resumed.restore(*read_tensors(tmp_path / "state"))
    same(finish(resumed), whole)


def test_seed_decides_everything():
    same(finish(training()), finish(training()))
    other = finish(training(seed=1)).weights()
    assert not torch.equal(other["head.weight"], finish(training()).weights()["head.weight"])


def test_looking_at_the_loss_changes_nothing():
    often = replace(SETTINGS, validate_every=1, log_every=1, save_every=1)
    one, other = finish(training()), finish(training(often))
    for name, tensor in one.weights().items():
        assert torch.equal(tensor, other.weights()[name])
    assert one.history[-1].valid_nrmse == other.history[-1].valid_nrmse


class Reads(TorchDispatchMode):
    """Counts the numbers that the host reads from a device, for each of which it has to wait."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_a_step_makes_the_host_wait_for_nothing():
    fields = UNET | {"norm": "group"}
    one = training(replace(SETTINGS, log_every=3, ema_decay=0.9), fields)
    with Reads() as reads:
        one.advance()
        one.advance()
        assert reads.count == 0
        one.advance()  # the loss is read
    assert reads.count == 1


def test_half_precision_computes_in_it_and_keeps_the_weights(tmp_path):
    fields = UNET | {"norm": "group", "dropout": 0.0}
    settings = replace(SETTINGS, precision="bfloat16", schedule="constant")
    seen = []
    half, whole = (
        training(settings, fields),
        training(replace(settings, precision="float32"), fields),
    )
    half.network.head.register_forward_hook(lambda *called: seen.append(called[2].dtype))
    half.advance()
    whole.advance()
    assert seen == [torch.bfloat16]
    # bfloat16 keeps 8 bits, and its rounding errors average out over the batch.
    assert half.read_loss() == pytest.approx(whole.read_loss(), rel=2**-7)
    assert half.read_loss() != whole.read_loss()
    assert {tensor.dtype for tensor in half.weights().values()} == {torch.float32}
    write_tensors(tmp_path / "state", *half.state())
    resumed = training(settings, fields, seed=99)
    resumed.train = half.train
    resumed.restore(*read_tensors(tmp_path / "state"))
    same(finish(resumed), finish(half))


@pytest.mark.filterwarnings("ignore:.*torch.autograd.function.Function.*:DeprecationWarning")
@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=pytest.mark.full)])
def test_compiled_training_follows_the_plain_one(monkeypatch, precision):
    """With the backend that traces forward and backward, and needs no compiler."""
    compiler = partial(torch.compile, backend="aot_eager", fullgraph=True)
    monkeypatch.setattr("chimera.training.loop.torch.compile", compiler)
    monkeypatch.setattr("chimera.training.loop.require_compiler", lambda: None)
    settings = replace(SETTINGS, steps=8, unroll=2, precision=precision, validate_every=1, lr=1e-3)
    fields = UNET | {"norm": "group", "dropout": 0.0}
    plain, compiled = (
        finish(training(settings, fields)),
        finish(training(replace(settings, compile=True), fields)),
    )
    losses = [[row.train_loss for row in one.history] for one in (plain, compiled)]
    tolerance = 1e-5 if precision == "float32" else 2**-7
    assert losses[1] == pytest.approx(losses[0], rel=tolerance)


def test_no_compiler_is_one_sentence(monkeypatch):
    monkeypatch.setattr("chimera.models.forecasting.devices.shutil.which", lambda _: None)
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(InputError, match=r"train\.compile is true, expected false without g"):
        training(replace(SETTINGS, compile=True))


class Scale(nn.Module):
    """f(x) = a x: the prediction is (1 + a) x, so that all is known in closed form."""

    def __init__(self, a):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a))

    def forward(self, x):
        return self.a * x


def scaling(a, settings, ratio=0.5):
    """Return a run on frames x_{t+1} = ratio x_t."""
    first = frames()[:, :1]
    decaying = torch.cat([first * ratio**t for t in range(4)], dim=1)
    length = 1 + settings.unroll
    return Training(
        Scale(a), Windows(decaying, Form(length, 4, (0,))), decaying, settings
    ), decaying


@pytest.mark.parametrize("unroll", [1, 2, 3])
def test_loss_is_the_mean_square_over_the_unrolled_frames(unroll):
    settings = replace(SETTINGS, unroll=unroll, schedule="constant")
    one, _ = scaling(-0.2, settings)
    window = one.train.batch(0)
    one.advance()
    gain = torch.tensor([0.8**u - 0.5**u for u in range(1, 1 + unroll)])
    expected = window[:, 0].square().mean() * gain.square().mean()
    assert one.read_loss() == pytest.approx(float(expected), rel=1e-5)


def test_conditioning_is_no_part_of_any_error():
    """Channels that never change would lower a mean over all of them."""
    one, decaying = scaling(-0.2, SETTINGS)
    constant = torch.ones_like(decaying)
    both = torch.cat([decaying, constant, constant], dim=2)
    length = 1 + SETTINGS.unroll

    class First(Scale):
        def forward(self, x):
            return super().forward(x[:, :1])

    windows = Windows(both, Form(length, 4, (0,)))
    conditioned = Training(First(-0.2), windows, both, SETTINGS, num_fields=1)
    assert conditioned._persistence == one._persistence
    assert conditioned.valid_nrmse() == one.valid_nrmse()
    assert same_steps(one, conditioned)


def same_steps(one, other):
    """Say whether two runs have the same losses and weights after three steps."""
    for run in (one, other):
        for _ in range(3):
            run.advance()
    return one.read_loss() == other.read_loss() and torch.equal(one.network.a, other.network.a)


def test_valid_error_counts_every_frame_that_it_takes_once():
    """||0.8 x - 0.5 x|| / ||0.5 x|| = 0.6 for the pairs of frames (0, 1), (4, 5) and (8, 9).

    Two trajectories have six of them, in a ragged last batch; the other frames are never read.
    """
    one, _ = scaling(-0.2, replace(SETTINGS, batch_size=4))
    first = torch.randn(2, 1, 1, 8, 8)
    one.valid = torch.full((2, 10, 1, 8, 8), math.nan)
    for t in range(0, 9, VALID_SPACING):
        one.valid[:, t], one.valid[:, t + 1] = first[:, 0], first[:, 0] / 2
    assert one.valid_nrmse() == pytest.approx(0.6, rel=1e-5)
    one.valid[1, 5] = 0.8 * first[1, 0]  # forecast without an error: five pairs of six are 0.6 off
    assert one.valid_nrmse() == pytest.approx(0.5, rel=1e-5)


def test_first_step_is_adamw_s():
    """Its two moments cancel in the first step: a <- a - lr (wd a + sign(gradient))."""
    settings = replace(SETTINGS, schedule="constant", weight_decay=0.1, lr=0.01)
    one, _ = scaling(-0.2, settings)
    one.advance()
    assert one.network.a.item() == pytest.approx(-0.2 - 0.01 * (0.1 * -0.2 + 1), rel=1e-5)


def test_learns_a_linear_law():
    settings = replace(SETTINGS, steps=300, lr=0.05, weight_decay=0.0, validate_every=300)
    one, _ = scaling(0.0, settings)
    finish(one)
    assert one.network.a.item() == pytest.approx(-0.5, abs=1e-3)
    assert one.history[-1].valid_nrmse < 2e-3


def test_gradient_is_clipped_to_its_norm():
    """AdamW divides a first gradient by itself, so look at the gradient that it was given."""
    one, _ = scaling(30.0, replace(SETTINGS, gradient_clip=1e-3, log_every=100))
    one.advance()
    assert abs(float(one.network.a.grad)) == pytest.approx(1e-3, rel=1e-3)


def test_average_follows_its_recursion():
    one, _ = scaling(0.0, replace(SETTINGS, ema_decay=0.5, schedule="constant"))
    average = 0.0
    for step in range(12):
        one.advance()
        decay = min(0.5, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * one.network.a.item()
    assert float(one.weights()["a"]) == pytest.approx(average, rel=1e-5)
    assert float(one.weights()["a"]) != one.network.a.item()


def test_running_statistics_are_averaged_with_the_weights():
    """Batch norm's statistics belong to the weights: both follow one recursion."""
    one = training(replace(SETTINGS, ema_decay=0.5))
    name = "encoder0.first.norm.running_mean"
    average = one.network.state_dict()[name].clone()
    for step in range(6):
        one.advance()
        decay = min(0.5, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * one.network.state_dict()[name]
    torch.testing.assert_close(one.weights()[name], average)
    assert not torch.equal(one.weights()[name], one.network.state_dict()[name])


def test_a_model_s_own_rates_stand_in_place_of_the_common_ones():
    common = as_plain(SETTINGS)
    assert train_settings(common, {"type": "unet"}) == SETTINGS
    tuned = train_settings(common, {"train": {"lr": 0.5, "weight_decay": 0.0}})
    assert tuned == replace(SETTINGS, lr=0.5, weight_decay=0.0)
    for section, words in (
        ({"lr": 0.5}, r"^models\.mine\.train\.weight_decay is missing"),
        ({"lr": -1.0, "weight_decay": 0.0}, r"^models\.mine\.train\.lr is -1\.0, expected"),
        ({"lr": 1.0, "weight_decay": 0.0, "steps": 3}, r"^models\.mine\.train.*steps"),
    ):
        with pytest.raises(InputError, match=words):
            train_settings(common, {"train": section}, "models.mine")


def test_schedules_are_as_documented():
    settings = replace(SETTINGS, steps=101, warmup=0.2)
    rate = [learning_rate(step, settings) for step in range(101)]
    assert rate[0] == pytest.approx(settings.lr / 25)
    assert max(rate) == pytest.approx(settings.lr, rel=1e-3)
    assert rate.index(max(rate)) in (20, 21)
    assert rate[-1] == pytest.approx(settings.lr / 2.5e5)
    cosine = replace(settings, schedule="cosine")
    assert learning_rate(9, cosine) == pytest.approx(settings.lr * 10 / 20.2)
    middle = (100 + 20.2) / 2
    expected = settings.lr * (1 + math.cos(math.pi * (60 - 20.2) / (100 - 20.2))) / 2
    assert learning_rate(60, cosine) == pytest.approx(expected)
    assert learning_rate(round(middle), cosine) == pytest.approx(settings.lr / 2, rel=0.02)
    assert learning_rate(100, cosine) == pytest.approx(0.0, abs=1e-12)
    for steps, warmup in ((2, 0.25), (7, 0.3), (101, 0.2)):
        short = replace(cosine, steps=steps, warmup=warmup)
        assert max(learning_rate(step, short) for step in range(steps)) <= settings.lr
    constant = replace(settings, schedule="constant")
    assert {learning_rate(step, constant) for step in range(101)} == {settings.lr}


def test_divergence_is_one_sentence_with_the_step():
    one, _ = scaling(1e4, replace(SETTINGS, log_every=3))
    with pytest.raises(InputError, match=r"diverged: the loss is .* at step 3, .*train\.lr"):
        finish(one)
    one, _ = scaling(math.nan, SETTINGS)
    with pytest.raises(InputError, match="the loss is nan at step 2"):
        finish(one)


def test_a_learning_rate_far_too_high_diverges():
    settings = replace(SETTINGS, steps=50, lr=1e3, gradient_clip=1e9, schedule="constant")
    with pytest.raises(InputError, match=r"diverged: .* at step \d+, .*train\.lr \(now 1000\)"):
        finish(training(settings))


def test_a_last_step_into_nowhere_leaves_no_weights():
    """The loss of the last step is read before its update: only the valid error can tell."""
    one, _ = scaling(0.0, replace(SETTINGS, steps=1, lr=1e38, schedule="constant"))
    with pytest.raises(InputError, match="the validation nRMSE is inf at step 1, expected"):
        finish(one)
    assert one.history == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_size": 0}, r"train\.batch_size is 0, expected a whole number of at least 1"),
        ({"steps": -1}, r"train\.steps is -1, expected a whole number of at least 0"),
        ({"lr": 0.0}, r"train\.lr is 0\.0, expected a number above 0"),
        ({"lr": math.nan}, r"train\.lr is nan, expected a number above 0"),
        ({"devices": 0}, r"train\.devices is 0, expected a whole number of at least 1"),
        ({"devices": 3}, r"train\.batch_size is 4, expected a multiple of train\.devices \(3\)"),
        ({"lr": 1e39}, r"train\.lr is 1e\+39, expected a number of at most 1000000$"),
        ({"memory": 1e300}, r"train\.memory is 1e\+300, expected a number of at most 1000000$"),
        ({"threads": 1 << 30}, r"train\.threads is .*, expected a whole number of at most 1024$"),
        ({"weight_decay": 1e39}, r"train\.weight_decay is 1e\+39, .* of at most 1000000$"),
        ({"ema_decay": 1.0}, r"train\.ema_decay is 1\.0, expected a number below 1"),
    ],
)
def test_impossible_settings_are_one_sentence(change, words):
    with pytest.raises(InputError, match=words):
        read_settings(as_plain(SETTINGS) | change, "train", TrainSettings)


def test_no_steps_keep_the_initial_weights():
    one = training(replace(SETTINGS, steps=0))
    before = {name: tensor.clone() for name, tensor in one.network.state_dict().items()}
    finish(one)
    assert all(torch.equal(tensor, before[name]) for name, tensor in one.weights().items())
    assert one.history == []


def test_complex_and_shared_weights_train_and_resume_to_the_same_bytes(tmp_path):
    fields = {"type": "fno", "input_shape": [1, 8, 8], "width": 4, "modes": 2, "layers": 2}
    fields |= {"hidden": 6}

    def started(seed=0):
        return training(replace(SETTINGS, ema_decay=0.9), fields, seed)

    whole = started()
    before = whole.weights()["layers.0.spectral.low"]
    finish(whole)
    after = whole.weights()["layers.0.spectral.low"]
    assert after.is_complex()
    assert not torch.equal(after.real, before.real)
    assert not torch.equal(after.imag, before.imag)
    stopped = started()
    for _ in range(5):
        stopped.advance()
    write_tensors(tmp_path / "state", *stopped.state())
    resumed = started(seed=99)
    resumed.train = stopped.train
    resumed.restore(*read_tensors(tmp_path / "state"))
    finish(resumed)
    for name in ("whole", "resumed"):
        write_tensors(tmp_path / name, {"whole": whole, "resumed": resumed}[name].weights(), {})
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "resumed").read_bytes()


@pytest.mark.parametrize("unroll", [1, 2])
def test_other_losses_are_what_they_are_called(unroll):
    """The prediction is 0.8^u x and the target 0.5^u x: ||error|| / ||target|| is 1.6^u - 1."""
    for loss in ("mae", "relative_l2"):
        one, decaying = scaling(-0.2, replace(SETTINGS, unroll=unroll, loss=loss))
        x = one.train.batch(0)[:, 0]
        one.advance()
        gains = [0.8**u - 0.5**u for u in range(1, 1 + unroll)]
        expected = float(x.abs().mean()) * sum(gains) / unroll
        if loss == "relative_l2":
            expected = sum(1.6**u - 1 for u in range(1, 1 + unroll)) / unroll
        assert one.read_loss() == pytest.approx(expected, rel=1e-5)
        change = (decaying[:, 1:] - decaying[:, :-1]).abs().mean()
        scale = float(change) if loss == "mae" else 1.0  # ||x / 2|| / ||x / 2||
        assert one._persistence == pytest.approx(scale, rel=1e-5)


def test_noise_is_added_to_the_fields_of_the_input_alone():
    """With f = 0 and x_{t+1} = x_t the error is the noise, of variance 0.3^2; c never changes."""
    still = torch.randn(3, 1, 2, 64, 64).expand(3, 2, 2, 64, 64).contiguous()
    seen = []

    class Zero(Scale):
        def forward(self, x):
            seen.append(x)
            return 0 * self.a * x[:, :1]

    windows = Windows(still, Form(2, 4, (0,)))
    one = Training(Zero(1.0), windows, still, replace(SETTINGS, input_noise=0.3), num_fields=1)
    x, deviation = windows.batch(0)[:, 0], 0.3**2 * math.sqrt(2 / (4 * 64 * 64))
    loss = float(one._objective(windows.batch(0)).detach())
    assert loss == pytest.approx(0.3**2, abs=5 * deviation)
    assert torch.equal(seen[0][:, 1], x[:, 1])
    noise = seen[0][:, 0] - x[:, 0]
    assert float(noise.square().mean()) == pytest.approx(loss, rel=1e-4)
    assert abs(float(noise.mean())) < 5 * 0.3 / 128
    one.valid_nrmse()
    assert torch.equal(seen[1], still[:, 0]), "none in the validation"


def test_processes_share_the_noise_of_one_batch():
    x = torch.zeros(4, 2, 1, 8, 8)
    whole = Objective(nn.Identity(), 1, input_noise=0.5)
    drawn = []
    for share, part in (((0, 1), x), ((0, 2), x[:2]), ((1, 2), x[2:])):
        torch.manual_seed(3)
        whole.share = share
        drawn.append(float(whole(part)))
        drawn.append(float(torch.rand(())))
    assert drawn[0] == pytest.approx((drawn[2] + drawn[4]) / 2, rel=1e-5)
    assert drawn[1] == drawn[3] == drawn[5], "the generator is left in one state"


@pytest.mark.parametrize("step", [1, 5, 6, 11])
def test_resuming_with_every_option_changes_nothing(tmp_path, step):
    settings = replace(SETTINGS, loss="mae", input_noise=0.2, keep="best", ema_decay=0.9, unroll=2)
    whole = finish(training(settings))
    killed = training(settings)
    while killed.completed < step:
        killed.advance()
    write_tensors(tmp_path / "state", *killed.state())
    resumed = training(settings, seed=99)
    resumed.train = killed.train
    resumed.restore(*read_tensors(tmp_path / "state"))
    same(finish(resumed), whole)


def test_the_best_weights_are_those_of_the_least_validation_error():
    """a is driven by hand: |1 + a - 0.5| / 0.5 is the error, least at the second of four rows."""
    settings = replace(SETTINGS, keep="best", validate_every=1, steps=4, lr=1e-9)
    one, _ = scaling(0.0, settings)
    assert one.weights()["a"] == 0.0, "before there is any row"
    for a in (-0.1, -0.45, -0.45, -0.6):
        one.network.a.data.fill_(a)
        one.advance()
    errors = [row.valid_nrmse for row in one.history]
    assert errors == pytest.approx([0.8, 0.1, 0.1, 0.2], rel=1e-4)
    assert float(one.weights()["a"]) == pytest.approx(-0.45, rel=1e-5)
    last, _ = scaling(-0.6, replace(settings, keep="last"))
    assert not any(name.startswith("best") for name in last.state()[0])
    assert float(finish(last).weights()["a"]) == pytest.approx(-0.6, rel=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"loss": "l1"}, r"train\.loss is 'l1', expected one of"),
        ({"input_noise": -0.1}, r"train\.input_noise is -0\.1, expected"),
        ({"input_noise": math.nan}, r"train\.input_noise is nan, expected"),
        ({"keep": "first"}, r"train\.keep is 'first', expected one of"),
    ],
)
def test_an_option_that_is_none_is_one_sentence(change, words):
    with pytest.raises(InputError, match=words):
        read_settings(as_plain(SETTINGS) | change, "train", TrainSettings)


@pytest.mark.parametrize("past_frames", [1, 2])
def test_pushforward_differentiates_the_last_of_the_steps_alone(past_frames):
    """f(x) = w x: x_{t+3} = (1 + w)^3 x_t, of which the last factor alone is differentiated.

    With a = (1 + w)^2 held still, L = mean((1 + w) a x - y)^2 and dL/dw = 2 mean(((1 + w) a x - y)
    a x); through all steps it is 2 mean((..) 3 (1 + w)^2 x), three times as much.
    """
    w, P = 0.5, past_frames
    window = torch.rand(2, P + 3, 1, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    x, y = window[:, P - 1], window[:, -1]
    error = (1 + w) ** 3 * x - y

    def gradient(pushforward):
        scale = nn.Parameter(torch.tensor(w).double())
        network = networks.Expression(lambda z, _: scale * z[:, :1], nn.Conv2d(1, 1, 1))
        one = Objective(network, 3, 1, P, pushforward=pushforward)
        loss = one(window)
        loss.backward()
        return loss, scale.grad

    loss, found = gradient(True)
    torch.testing.assert_close(loss, error.square().mean().float(), check_dtype=False)
    expected = 2 * (error * (1 + w) ** 2 * x).mean()
    torch.testing.assert_close(found, expected)
    steps = [(1 + w) ** k * x - window[:, P + k - 1] for k in (1, 2, 3)]
    through = [2 * (e * k * (1 + w) ** (k - 1) * x).mean() for k, e in enumerate(steps, start=1)]
    torch.testing.assert_close(gradient(False)[1], sum(through) / 3)


def test_pushforward_over_one_step_is_the_plain_loss():
    same(finish(training()), finish(training(replace(SETTINGS, pushforward=True))))
