"""A checkpoint gives back the network that was written, and what it normalises by."""

import pytest
import torch

from chimera.files.tensors import write_tensors
from chimera.interface.errors import InputError
from chimera.models import build_model
from chimera.models.forecasting.checkpoint import normalisation, read_network
from chimera.models.forecasting.stepping import rollout, step
from networks import FRACTAL, UNET

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("fields", "moments"),
    [
        (UNET, {"mean": [0.5], "std": [2.0]}),
        (
            FRACTAL | {"input_shape": [2, 16, 16], "out_channels": 1},
            {"mean": [0.5, -1.0], "std": [2.0, 3.0]},
        ),
    ],
)
def test_what_was_written_is_read(tmp_path, fields, moments):
    torch.manual_seed(0)
    network = build_model(fields).eval()
    C = len(moments["mean"])
    names = {"fields": ["vorticity"], "conditioning": ["forcing"][: C - 1]}
    data = {"boundary": ["periodic", "open"], "frame_interval": 0.5}
    about = {"model": fields, "normalisation": normalisation(moments), **names, **data}
    write_tensors(tmp_path / "model.safetensors", network.state_dict(), about)
    state = torch.get_rng_state()
    found, mean, std, *read = read_network(tmp_path / "model.safetensors", CPU)
    assert not found.training
    x = torch.randn(2, *fields["input_shape"])
    assert torch.equal(found(x), network(x))
    assert read == [("vorticity",), tuple(names["conditioning"]), 1, ("periodic", "open"), 0.5]
    assert mean.flatten().tolist() == moments["mean"]
    assert std.flatten().tolist() == moments["std"]
    assert mean.shape == std.shape == (C, 1, 1)
    assert state.shape == torch.get_rng_state().shape


def test_one_channel_is_a_number_and_several_are_a_list():
    assert normalisation({"mean": [0.5], "std": [2.0]}) == {"mean": 0.5, "std": 2.0}
    assert normalisation({"mean": [0.5, 1.0]}) == {"mean": [0.5, 1.0]}


def test_tensors_that_are_no_network_are_one_sentence(tmp_path):
    path = tmp_path / "model.safetensors"
    network = build_model(UNET)
    moments = {"mean": 0.0, "std": 1.0}
    write_tensors(path, network.state_dict(), {"model": UNET})
    with pytest.raises(InputError, match=r"model\.safetensors holds no network.*'normalisation'"):
        read_network(path, CPU)
    write_tensors(path, {"w": torch.zeros(3)}, {"model": UNET, "normalisation": moments})
    with pytest.raises(InputError, match=r"model\.safetensors holds no network.*Missing key"):
        read_network(path, CPU)


class Halve(torch.nn.Module):
    """f(x) = -x / 2: every frame is half of the one before."""

    def forward(self, x):
        return -x / 2


def test_a_rollout_is_the_step_applied_to_its_own_result():
    frames = torch.randn(3, 2, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(step(Halve(), frames), frames / 2)
    found = rollout(Halve(), frames, 3)
    assert found.shape == (3, 3, 2, 4, 4)
    for t in range(3):
        torch.testing.assert_close(found[:, t], frames / 2 ** (t + 1))
    assert not rollout(Halve(), frames.requires_grad_(), 2).requires_grad


class Add(torch.nn.Module):
    """f(x, c) = c."""

    def forward(self, frames):
        return frames[:, 1:]


def test_conditioning_is_seen_at_every_step_of_a_rollout_and_never_changes():
    """x_{t+1} = x_t + c gives x_0 + t c."""
    x, c = torch.randn(3, 1, 4, 4), torch.randn(3, 1, 4, 4)
    frames = rollout(Add(), torch.cat([x, c], dim=1), 4)
    for t in range(4):
        torch.testing.assert_close(frames[:, t, :1], x + (t + 1) * c)
        assert torch.equal(frames[:, t, 1:], c)
