"""The Well's benchmark networks behind their adapter: what they are fed, and what is forecast.

Stand-ins of the same signatures show what the adapter does; then their own networks are built, FNO
where neuraloperator is installed.
"""

import importlib
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from chimera.interface.errors import InputError
from chimera.models.forecasting.building import check_model, fit_to_data
from chimera.models.forecasting.stepping import states, step
from chimera.models.parity import count
from chimera.models.parity.admission import admit
from chimera.models.parity.liveness import liveness
from chimera.planning.composition import compose
from networks import without_its_dependencies
from workspaces import ROOT, call

P, C, K = 4, 2, 1
GRID = (32, 32)
MODULE = "well_networks.networks"
PROTOCOL = ("experiment=the_well_protocol", "data.root=/none")
OURS = ("unet_classic=unet_smoke", "well_fno=fno")


class Stand(nn.Module):
    """One convolution of kernel 1, and a record of what it was fed."""

    def __init__(self, dim_in, dim_out, n_spatial_dims, spatial_resolution, **sizes):
        super().__init__()
        assert (n_spatial_dims, spatial_resolution) == (2, GRID)
        self.sizes, self.mix = sizes, nn.Conv2d(dim_in, dim_out, 1)

    def forward(self, x):
        self.fed = x
        return self.mix(x)


class UNetClassic(Stand):
    pass


class FNO(Stand):
    pass


class UNetConvNext(Stand):
    pass


@pytest.fixture
def here(monkeypatch):
    """Import the adapter anew, in the root of the repository."""
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    monkeypatch.chdir(ROOT)
    yield
    sys.modules.pop(MODULE, None)


def offer(monkeypatch, *kinds):
    """Put networks in the place of those that the_well.benchmark.models imports."""
    module = sys.modules.get("the_well.benchmark.models") or ModuleType("the_well.benchmark.models")
    for kind in kinds:
        setattr(module, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, "the_well.benchmark.models", module)
    package = importlib.import_module("the_well.benchmark")
    monkeypatch.setattr(package, "models", module, raising=False)


def section(name, **changes):
    """Return a model of the protocol, fitted to C fields and K conditioning channels."""
    models = yaml.safe_load(
        compose(
            [*PROTOCOL, "+model@models.convnext=the_well_convnext"],
            ROOT / "conf",
        )
    )["models"]
    shape = (C, *GRID)
    check_model(models[name] | changes, name)
    return fit_to_data(
        models[name] | changes, shape, ["periodic"] * 2, name, conditioning=K, past_frames=P
    )


def test_the_protocol_is_the_benchmark_s():
    params = yaml.safe_load(compose(PROTOCOL))
    assert (params["data"]["source"], params["data"]["past_frames"]) == ("well", 4)
    assert params["model_names"] == ["unet_classic", "well_fno"]
    assert {k: params["train"][k] for k in ("unroll", "loss", "schedule", "keep")} == {
        "unroll": 1, "loss": "mse", "schedule": "cosine", "keep": "best"
    }  # fmt: skip
    smoke = yaml.safe_load(
        compose([*PROTOCOL, "scale=smoke", *("model@models." + model for model in OURS)])
    )
    assert smoke["train"]["steps"] == 20
    assert [smoke["models"][m]["type"] for m in smoke["model_names"]] == ["unet", "fno"]


@pytest.mark.parametrize("name", ["unet_classic", "well_fno", "convnext"])
def test_they_are_fed_the_oldest_frame_first_and_the_conditioning_last(here, monkeypatch, name):
    """What they say is the next frame: the increment that is added to the newest one."""
    offer(monkeypatch, UNetClassic, FNO, UNetConvNext)
    network = admit(section(name), C, name)
    frames = torch.randn(3, P + 1, C + K, *GRID)
    frames[:, :, C:] = frames[:, :1, C:]
    state = states(frames[:, :P], P, C)[:, 0]
    inner = network.network
    forecast = step(network, state, P)[:, :C]
    theirs = frames[:, :P, :C].flatten(1, 2)  # rearrange(x, "b t ... c -> b (t c) ...")
    torch.testing.assert_close(inner.fed, torch.cat([theirs, frames[:, 0, C:]], dim=1))
    torch.testing.assert_close(forecast, inner.mix(inner.fed))
    sizes = {
        "unet_classic": {"init_features": 48},
        "well_fno": {"modes1": 16, "modes2": 16, "hidden_channels": 128},
        "convnext": {"init_features": 42, "blocks_per_stage": 2},
    }
    assert inner.sizes == sizes[name]
    params, macs = count(network, (P * C + K, *GRID))
    assert params == (P * C + K) * C + C
    assert macs == (P * C + K) * C * np.prod(GRID)


def test_without_the_package_one_sentence_says_what_to_install(here, monkeypatch):
    monkeypatch.setitem(sys.modules, "the_well", None)
    monkeypatch.setitem(sys.modules, "the_well.benchmark", None)
    with pytest.raises(InputError) as error:
        section("unet_classic")
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"unet_classic.type is '{MODULE}.UNetClassic', expected")
    assert str(error.value).endswith("The Well's networks need `pip install 'the-well[benchmark]'`")


@pytest.mark.filterwarnings("ignore")  # those of other packages
@pytest.mark.parametrize(
    ("name", "small"),
    [
        ("unet_classic", {"init_features": 4}),
        pytest.param(  # needs neuraloperator 0.3, as The Well does; `make test-full` installs it
            "well_fno", {"modes1": 4, "modes2": 4, "hidden_channels": 8}, marks=pytest.mark.full
        ),
        ("convnext", {"init_features": 4, "blocks_per_stage": 1}),
    ],
)
def test_their_own_networks_are_admitted_and_counted(here, name, small, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", ModuleType("wandb"))  # which neuralop 0.3 imports
    try:
        importlib.import_module("the_well.benchmark.models")
    except ImportError:
        without_its_dependencies(monkeypatch)
        kind = {"unet_classic": "UNetClassic", "well_fno": "FNO", "convnext": "UNetConvNext"}[name]
        file = {"UNetClassic": "unet_classic", "FNO": "fno", "UNetConvNext": "unet_convnext"}[kind]
        module = importlib.import_module(f"the_well.benchmark.models.{file}")
        offer(monkeypatch, getattr(module, kind))
    shape = (P * C + K, *GRID)
    network = admit(section(name, **small), C, name)
    params, macs = count(network, shape)
    assert params == sum(p.numel() * (2 if p.is_complex() else 1) for p in network.parameters())
    assert macs > 0
    assert 0 < liveness(network, shape).params <= params
    assert network(torch.zeros(2, *shape)).shape == (2, C, *GRID)


def test_the_table_has_means_over_replicates_and_their_interval(tmp_path):
    """Three replicates of mean 2, 3 and 4: 3 -+ t(0.975, 2) / sqrt(3), and t is 4.3027 (tables)."""
    rows = ["model,replicate,axis,trajectory,vrmse"]
    for replicate, mean in enumerate((2, 3, 4)):
        rows += [f"net,{replicate},ind,{i},{mean + d}" for i, d in enumerate((-1, 1))]
        rows += [f"net,{replicate},ood_other,0,100", f"alone,0,ind,{replicate},{mean}"]
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/errors.csv").write_text("\n".join(rows) + "\n")
    params = {"model_names": ["net", "alone"], "datasets": ["ind"]}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    script = ROOT / "examples/well_networks/table.py"
    printed = call(tmp_path, "python", str(script), "active_matter")
    half = 4.302653 / 3**0.5
    assert printed.splitlines() == [
        "| dataset | net | alone |",
        "| --- | --: | --: |",
        f"| `active_matter` | 3.0000 [{3 - half:.4f}, {3 + half:.4f}] | 3.0000 |",
    ]
