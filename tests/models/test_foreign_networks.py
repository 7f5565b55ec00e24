"""Networks of neuraloperator and of The Well enter by their import paths."""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
from torch import nn

from chimera.models.forecasting.building import check_model, fit_to_data
from chimera.models.parity import count
from chimera.models.parity.admission import admit
from chimera.models.parity.liveness import liveness

SECTIONS = {
    "neuraloperator": {
        "type": "neuralop.models.FNO",
        "n_modes": [6, 6],
        "in_channels": 3,
        "hidden_channels": 6,
        "n_layers": 2,
        "positional_embedding": None,
    },
    "the_well": {
        "type": "the_well.benchmark.models.unet_convnext.UNetConvNext",
        "dim_in": 3,
        "dim_out": 1,
        "n_spatial_dims": 2,
        "spatial_resolution": [16, 16],
        "stages": 2,
        "blocks_per_stage": 1,
        "blocks_at_neck": 1,
        "init_features": 4,
    },
}


class Unshared:
    """In place of what uploads a network."""

    def __init_subclass__(cls, **_):
        super().__init_subclass__()


@pytest.mark.filterwarnings("ignore")  # those of other packages
@pytest.mark.parametrize(
    "name", [pytest.param("neuraloperator", marks=pytest.mark.full), "the_well"]
)
def test_a_network_of_another_package_is_admitted_and_counted(name, monkeypatch):
    if name == "the_well":  # it imports all its networks, timm for dropping paths, and a hub
        for module in ("timm", "timm.models", "timm.models.layers", "the_well.benchmark.models"):
            monkeypatch.setitem(sys.modules, module, ModuleType(module))
        sys.modules["timm.models.layers"].DropPath = nn.Identity
        folder = Path(find_spec("the_well.benchmark").origin).parent / "models"
        sys.modules["the_well.benchmark.models"].__path__ = [str(folder)]
        hub = ModuleType("huggingface_hub")
        hub.PyTorchModelHubMixin = Unshared
        monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    check_model(SECTIONS[name], "models.other")
    settings = fit_to_data(
        SECTIONS[name], (1, 16, 16), ["periodic"] * 2, "models.other", conditioning=2
    )
    network = admit(settings, 1, "models.other")
    params, macs = count(network, (3, 16, 16))
    assert params == sum(p.numel() * (2 if p.is_complex() else 1) for p in network.parameters())
    assert macs > 0
    assert 0 < liveness(network, (3, 16, 16)).params <= params
