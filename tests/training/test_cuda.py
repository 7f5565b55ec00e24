"""Training and forecasts on a GPU: the same bytes every time, and the CPU's numbers.

`make test-cuda` runs these; without a GPU they fail, and the other targets leave them out.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from msgspec.structs import replace
from test_distributed import finish, results, start

import networks
from chimera.data.batches.prefetch import Prefetched
from chimera.data.batches.trajectories import Form, Windows
from chimera.evaluation.errors import evaluate
from chimera.evaluation.forecasters import Physics, classical, network_forecaster
from chimera.evaluation.settings import EvaluateSettings
from chimera.files.tensors import read_tensors, write_tensors
from chimera.interface.settings import read_settings
from chimera.models import build_model
from chimera.models.forecasting.checkpoint import Trained
from chimera.models.forecasting.devices import prepare_device
from chimera.planning.composition import compose
from chimera.probes.common.registry import probe_measure, probe_settings
from chimera.probes.common.subject import Subject
from chimera.solver import KolmogorovForcing
from chimera.training.distributed import Group
from chimera.training.loop import Training
from chimera.training.settings import TrainSettings
from waves import TRAIN, write_workspace

pytestmark = pytest.mark.cuda

C, N = 1, 32
SETTINGS = read_settings(
    TRAIN | {"steps": 12, "unroll": 1, "ema_decay": 0.0, "validate_every": 4, "device": "cuda"},
    "train",
    TrainSettings,
)
EVERY_STEP = replace(SETTINGS, validate_every=1, lr=1e-3)
SHAPE = {"input_shape": [C, N, N]}
WIDE = SHAPE | {"channels": [8, 16, 24]}
NETWORKS = {
    "unet": networks.UNET | WIDE | {"norm": "batch"},
    "fractal": networks.FRACTAL | WIDE | {"norm": "batch"},
    "group": networks.FRACTAL | WIDE,
    "instance": networks.UNET | WIDE | {"norm": "instance"},
    "walls": networks.UNET | WIDE | {"padding": ["circular", "replicate"]},
    "odd": networks.UNET | WIDE | {"input_shape": [C, 30, 30]},
    "drop": networks.FRACTAL | WIDE | {"dropout": 0.2, "drop_path": 0.3},
    "fno": SHAPE | {"type": "fno", "width": 8, "modes": 5, "layers": 2, "hidden": 16},
    "convnext": SHAPE
    | {"type": "convnext_unet", "channels": [8, 12, 16], "blocks": 1, "neck_blocks": 1},
    "dilated": SHAPE | {"type": "dilated_resnet", "width": 8, "blocks": 1},
}


@pytest.fixture(autouse=True)
def _as_before():
    """Give the process its switches back."""
    yield
    prepare_device("cuda", 1, deterministic=False)


def waves(count, size=N):
    """Return travelling waves (count, 7, C, N, N)."""
    x = torch.arange(size) * 2 * torch.pi / size
    phase = torch.rand(count, 2, 1, 1, 1, generator=torch.Generator().manual_seed(count)) * 6
    t = 0.3 * torch.arange(7)[:, None, None]
    pair = torch.sin(x[:, None] + phase[:, 0] - t) + torch.cos(3 * x + phase[:, 1] + t)
    return pair[:, :, None].float().contiguous()


def training(name, settings=SETTINGS, seed=0, group=Group()):  # noqa: B008
    """Return a run as the stage starts it, on the device that the settings name."""
    numerics = {"tf32": settings.precision == "tf32", "deterministic": settings.deterministic}
    device, fields = prepare_device(settings.device, 1, **numerics), NETWORKS[name]
    torch.manual_seed(seed)
    train, valid = (waves(n, fields["input_shape"][1]).to(device) for n in (6, 3))
    share = (group.rank, group.size)
    windows = Windows(train, Form(1 + settings.unroll, settings.batch_size, (seed, 0), share))
    return Training(build_model(fields).to(device), windows, valid, settings, group)


def run(one, steps=None):
    """Take the steps, all by default, and return the training."""
    while one.completed < (steps or one.settings.steps):
        one.advance()
    return one


def losses(one):
    """Return the losses of the history."""
    return [row.train_loss for row in one.history]


@pytest.mark.parametrize("name", NETWORKS)
def test_two_runs_and_one_that_was_resumed_give_the_same_bytes(name, tmp_path):
    settings = replace(SETTINGS, ema_decay=0.9, unroll=2)
    whole, again = (run(training(name, settings)) for _ in range(2))
    killed = run(training(name, settings), 5)
    write_tensors(tmp_path / "state", *killed.state())
    resumed = training(name, settings, seed=9)
    resumed.train = killed.train
    resumed.restore(*read_tensors(tmp_path / "state"))
    runs = {"whole": whole, "again": again, "resumed": run(resumed)}
    for kind, one in runs.items():
        write_tensors(tmp_path / kind, one.weights(), [vars(row) for row in one.history])
    assert len({(tmp_path / kind).read_bytes() for kind in runs}) == 1
    assert losses(whole)[-1] != losses(whole)[0]


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "drop"])
def test_the_gpu_follows_the_cpu(name):
    """The masks of dropout differ; all else is a matter of rounding, which grows over 12 steps."""
    settings = replace(SETTINGS, lr=1e-3, validate_every=1)
    here, there = (run(training(name, replace(settings, device=d))) for d in ("cpu", "cuda"))
    assert losses(there) == pytest.approx(losses(here), rel=1e-3)
    assert losses(there)[:1] == pytest.approx(losses(here)[:1], rel=1e-5)


@pytest.mark.parametrize("name", ["unet", "fractal", "fno", "convnext"])
@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_the_fast_settings_keep_the_loss(name, precision):
    """Factors keep 10 and 7 bits of their mantissas."""
    fast = replace(SETTINGS, precision=precision, deterministic=False, lr=1e-3, validate_every=1)
    plain = run(training(name, replace(fast, precision="float32")))
    found = run(training(name, fast))
    bits = {"tf32": 10, "bfloat16": 7}[precision]
    assert losses(found)[:1] == pytest.approx(losses(plain)[:1], rel=2.0**-bits)
    assert losses(found) == pytest.approx(losses(plain), rel=2.0 ** (3 - bits))
    assert {t.dtype for t in found.weights().values() if t.is_floating_point()} == {torch.float32}


@pytest.mark.parametrize("name", ["unet", "fractal"])
@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of what torch itself does
def test_a_compiled_step_keeps_the_loss(name):
    plain, compiled = (
        run(training(name, replace(EVERY_STEP, compile=fuse))) for fuse in (False, True)
    )
    assert losses(compiled) == pytest.approx(losses(plain), rel=1e-3)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_past_frames_and_pushforward_give_the_same_bytes_and_follow_the_cpu(precision):
    """Three past frames of a field and a condition; the last of two steps is differentiated."""
    settings = replace(SETTINGS, unroll=2, pushforward=True, lr=1e-3, precision=precision)
    settings = replace(settings, validate_every=1)
    frames = torch.cat([waves(4, 16), waves(4, 16).flip(3)], dim=2)

    def trained(device):
        prepare_device(device, 1, deterministic=True)
        torch.manual_seed(0)
        fields = NETWORKS["fractal"] | {"input_shape": [4, 16, 16], "out_channels": 1}
        windows = Windows(frames.to(device), Form(5, 4, (0,)))
        network = build_model(fields).to(device)
        valid = frames.to(device)
        return run(Training(network, windows, valid, settings, num_fields=1, past_frames=3))

    first, second = trained("cuda"), trained("cuda")
    for name, tensor in first.weights().items():
        assert torch.equal(tensor, second.weights()[name]), name
    bits = {"float32": 1e-3, "bfloat16": 2.0**-4}[precision]
    here = [loss for loss in losses(trained("cpu")) if loss > 0]
    assert losses(first) == pytest.approx(here, rel=bits)


@pytest.mark.parametrize("probe", ["twonn", "ib", "spectra", "patching", "rome"])
def test_probes_of_one_network_are_those_of_the_cpu(probe):
    fields = yaml.safe_load(compose(["scale=smoke"]))["probes"][probe]
    changes = {"patching": {"factors": []}, "spectra": {"frames": [1, 4]}}
    settings = probe_settings(probe, fields | changes.get(probe, {}))
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 8, 7, N, N, generator=generator)
    smooth = torch.nn.functional.avg_pool2d(noise.flatten(0, 1), 3, 1, 1).unflatten(0, (2, 8))
    flows = dict(zip(("ind", "ood_other"), smooth.cumsum(dim=2)[:, :, :, None], strict=True))
    found = []
    for device in ("cpu", "cuda"):
        prepare_device(device, 1)
        torch.manual_seed(0)
        network = build_model(NETWORKS["group"]).to(device).eval()
        here = {axis: flow.to(device) for axis, flow in flows.items()}
        moments = torch.zeros(C, 1, 1, device=device), torch.ones(C, 1, 1, device=device)
        subject = Subject(network, here, *moments, 2 * torch.pi)
        found.append(probe_measure(probe)(subject, settings, np.random.default_rng(0), iter))
    assert found[1].statistics.keys() == found[0].statistics.keys()
    for name, value in found[0].statistics.items():
        assert found[1].statistics[name] == pytest.approx(value, rel=1e-3, abs=1e-3), name


def test_forecasts_and_their_errors_are_those_of_the_cpu():
    torch.manual_seed(0)
    network = build_model(NETWORKS["fractal"]).eval()
    generator = torch.Generator().manual_seed(0)
    frames = torch.nn.functional.avg_pool2d(torch.randn(5, C, N, N, generator=generator), 3, 1, 1)
    frames = torch.stack([frames * (1 - 0.1 * t) for t in range(7)], dim=1)
    options = {"horizon": 6, "batch_size": 4, "valid_correlation": 0.8, "field_frame": 2}
    settings = read_settings(
        options | {"device": "cuda", "threads": 1}, "evaluate", EvaluateSettings
    )
    force = [KolmogorovForcing(1.0, 3, 0.0)] * 5
    physics = Physics(torch.full((5,), 0.01), torch.full((5,), 0.1), force, 2 * torch.pi, 0.1)
    found = []
    for kind in ("cpu", "cuda"):
        device = prepare_device(kind, 1)
        moments = torch.zeros(C, 1, 1, device=device), torch.ones(C, 1, 1, device=device)
        trained = Trained(network.to(device), *moments, ("vorticity",), ())
        here = frames.to(device)
        forecasters = {"model": network_forecaster(trained, here[:, 0, C:])}
        forecasters |= classical(physics, N)
        found.append({name: evaluate(f, here, settings)[0] for name, f in forecasters.items()})
    for name, errors in found[0].items():
        for metric, values in errors.items():
            assert found[1][name][metric] == pytest.approx(values, rel=1e-4, abs=1e-6), metric


def test_batches_from_the_host_are_those_on_the_device():
    device, frames = prepare_device("cuda", 1), waves(6)
    form = Form(3, 4, (0,))
    ahead, resident = Prefetched(Windows(frames, form), device), Windows(frames.to(device), form)
    for number in (0, 1, 2, 3, 7, 8, 2):
        assert torch.equal(ahead.batch(number), resident.batch(number))


def test_windows_of_more_numbers_than_32_bits_count():
    """As of a study's data on the device; the views of windows overlap."""
    device = prepare_device("cuda", 1)
    frames = torch.randn(300, 40, 1, 256, 256, device=device)  # 7.9e8 numbers
    windows = Windows(frames, Form(4, 8, (0,)))
    starts = windows._order.batch(1490, device).tolist()
    flat = frames.flatten(0, 1)
    batch = windows.batch(1490)
    assert max(starts) * 4 * 256 * 256 > 2**31
    for window, start_ in zip(batch, starts, strict=True):
        assert torch.equal(window, flat[start_ : start_ + 4])


WORKER = """
import os, sys
from torch import distributed
import test_cuda as tests
from chimera.training.distributed import Group

distributed.init_process_group(sys.argv[2])
group = Group(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
one = tests.run(tests.training(sys.argv[1], tests.EVERY_STEP, group=group))
if group.rank == 0:
    print(*tests.losses(one))
distributed.destroy_process_group()
"""


def launch(count, *command, folder=None):
    """Return what `count` processes print that torch's launcher starts."""
    paths = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
    known = os.environ.get("PYTHONPATH", "")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            f"--nproc-per-node={count}",
            *command,
        ],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([*paths, known])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["unet", "drop"])
def test_two_processes_on_one_gpu_follow_one(name, tmp_path):
    """By gloo, for NCCL wants a GPU for each process."""
    (tmp_path / "worker.py").write_text(WORKER)
    printed = launch(2, str(tmp_path / "worker.py"), name, "gloo")
    one = run(training(name, EVERY_STEP))
    assert [float(word) for word in printed.split()] == pytest.approx(losses(one), abs=1e-5)


def test_the_stage_gives_the_same_bytes_under_a_launcher_of_one(tmp_path):
    """The launched one opens a group of NCCL."""
    settings = {"device": "cuda", "steps": 20, "save_every": 5}
    folders = [write_workspace(tmp_path / str(n), norm="batch", **settings) for n in range(2)]
    printed = finish(start(folders[0]))
    assert "arning" not in printed, printed
    stage = ("-m", "chimera.stages.train", "--model", "net", "--replicate", "0")
    launch(1, *stage, folder=folders[1])
    assert results(folders[0]) == results(folders[1])


def test_as_many_processes_as_gpus_follow_one(tmp_path):
    """By NCCL, from two GPUs on; with one this is the stage without a launcher."""
    devices = min(torch.cuda.device_count(), 2)
    curves = []
    for count in (1, devices):
        folder = tmp_path / str(count)
        if not folder.exists():
            write_workspace(folder, norm="batch", device="cuda", devices=count, batch_size=8)
            finish(start(folder))
        curves.append([float(row["train_loss"]) for row in results(folder)[1][:50]])
    assert curves[1] == pytest.approx(curves[0], abs=1e-5)
