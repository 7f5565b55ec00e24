"""Networks of neuraloperator and of The Well enter by their import paths."""

import sys
from types import ModuleType

import pytest

from chimera.models.forecasting.building import check_model, fit_to_data
from chimera.models.parity import count
from chimera.models.parity.admission import admit
from chimera.models.parity.liveness import liveness
from networks import without_its_dependencies

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


@pytest.mark.filterwarnings("ignore")  # those of other packages
@pytest.mark.parametrize(
    "name", [pytest.param("neuraloperator", marks=pytest.mark.full), "the_well"]
)
def test_a_network_of_another_package_is_admitted_and_counted(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", ModuleType("wandb"))  # which neuralop 0.3 imports
    if name == "the_well":
        without_its_dependencies(monkeypatch)
    check_model(SECTIONS[name], "models.other")
    settings = fit_to_data(
        SECTIONS[name], (1, 16, 16), ["periodic"] * 2, "models.other", conditioning=2
    )
    network = admit(settings, 1, "models.other")
    params, macs = count(network, (3, 16, 16))
    assert params == sum(p.numel() * (2 if p.is_complex() else 1) for p in network.parameters())
    assert macs > 0
    assert 0 < liveness(network, (3, 16, 16)).params <= params
