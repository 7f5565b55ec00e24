"""The section `data` at every scale, and what nobody could generate in any time or memory."""

import math

import pytest
import yaml

from chimera.data.settings import GeneratedData, read_data
from chimera.interface.errors import InputError
from chimera.planning.composition import compose

IND = "cfd2d_ind_v1"


@pytest.fixture
def section():
    """Return the section `data` of the default scale."""
    return yaml.safe_load(compose([]))["data"]


@pytest.mark.parametrize("scale", ["smoke", "laptop", "gpu"])
def test_every_scale_can_be_read(scale):
    data = read_data(yaml.safe_load(compose([f"scale={scale}"]))["data"])
    assert isinstance(data, GeneratedData)
    assert next(iter(data.datasets)) == IND


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"num_points": 1 << 20},
            "num_points is 1048576, expected a whole number of at most 16384",
        ),
        ({"num_frames": 1}, "num_frames is 1, expected a whole number of at least 2"),
        ({"domain_extent": math.inf}, "domain_extent is inf, expected a finite number"),
        (
            {"simulated_points": 32},
            r"simulated_points is 32, expected at least data.num_points \(64\)",
        ),
        ({"frame_interval": 1e9}, f"datasets.{IND}.max_speed is 6.0, .* crosses at most 1e\\+07"),
        ({"domain_extent": 5e-324}, f"datasets.{IND}.max_speed is 6.0, .* crosses at most 1e\\+07"),
        ({"source": "solver"}, "source is 'solver', expected generated, well, pdebench or npz"),
    ],
)
def test_a_section_that_nobody_could_generate_is_one_sentence(section, change, sentence):
    with pytest.raises(InputError, match=f"^data.{sentence}"):
        read_data(section | change)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"warm_up": 1e12}, "max_speed is 6.0, expected a flow that crosses at most 1e\\+07 cells"),
        ({"max_speed": 1e300}, "max_speed is 1e\\+300, expected a flow that crosses at most"),
        ({"max_speed": 0.0}, "max_speed is 0.0, expected a number above 0"),
        ({"viscosity": -0.1}, "viscosity is -0.1, expected a number of at least 0"),
        ({"trajectories": {"test": 1}}, r"trajectories has \['test'\], expected \['test', 'train'"),
        (
            {"trajectories": {"train": 10**12, "valid": 1, "test": 1}},
            "trajectories.train is 1000000000000, expected a whole number of at most 1000000",
        ),
        ({"forcing": {"amplitude": 1.0, "angle": 0.0}}, "forcing.wavenumber is missing"),
    ],
)
def test_a_regime_that_nobody_could_simulate_is_one_sentence(section, change, sentence):
    section["datasets"][IND] |= change
    with pytest.raises(InputError, match=f"^data.datasets.{IND}.{sentence}"):
        read_data(section)
