"""The section `data` at every scale, and what nobody could generate in any time or memory."""

import math
from pathlib import Path

import pytest
import yaml

from chimera.data.settings import GeneratedData, read_data
from chimera.interface.errors import InputError
from chimera.interface.settings import as_plain
from chimera.planning.composition import compose

ROOT = Path(__file__).parents[2]

IND = "cfd2d_ind_v2"


@pytest.fixture
def section():
    """Return the section `data` of the default scale."""
    return yaml.safe_load(compose([]))["data"]


@pytest.mark.parametrize("scale", ["smoke", "laptop", "gpu"])
def test_every_scale_can_be_read(scale):
    data = read_data(yaml.safe_load(compose([f"scale={scale}"]))["data"])
    assert isinstance(data, GeneratedData)
    assert next(iter(data.datasets)) == IND


def test_version_1_is_a_config_of_its_own():
    data = read_data(yaml.safe_load(compose(["data=generated_v1"]))["data"])
    assert isinstance(data, GeneratedData)
    assert len(data.datasets) == 6
    assert all(name.endswith("_v1") for name in data.datasets)
    for dataset in data.datasets.values():
        assert all(isinstance(value, float) for value in (dataset.viscosity, dataset.drag))
    assert data.warm_up_points == data.simulated_points
    for name in ("IND", "OOD"):
        assert (ROOT / data.manifests / f"{name}_MANIFEST.yaml").exists()


def factors(dataset):
    """Return what decides the flow of a dataset, by name."""
    plain = as_plain(dataset)
    force = {f"forcing.{name}": value for name, value in plain.pop("forcing").items()}
    return {"forcing.warm_up_only": False} | plain | force


@pytest.mark.parametrize("scale", ["smoke", "laptop", "gpu"])
def test_every_axis_leaves_ind_in_one_factor_and_lies_outside_its_range(scale):
    data = read_data(yaml.safe_load(compose([f"scale={scale}"]))["data"])
    ind = factors(data.datasets[IND])
    for axis, factor, value in (
        ("viscosity", "viscosity", 0.005),
        ("wavenumber", "forcing.wavenumber", 7),
        ("amplitude", "forcing.amplitude", 2.0),
        ("rotation", "forcing.angle", math.pi / 2),
        ("decay", "forcing.warm_up_only", True),
    ):
        ood = factors(data.datasets[f"cfd2d_ood_{axis}_v2"])
        assert ood[factor] == value
        inside = ind[factor]
        if isinstance(inside, dict):
            ((_, inside),) = inside.items()
            assert not min(inside) <= value <= max(inside)
        differing = {name for name in ind.keys() | ood.keys() if ind.get(name) != ood.get(name)}
        # The time step follows from the speed; the number of trajectories decides no flow.
        assert differing - {"max_speed", "trajectories"} == {factor}
    assert len(data.datasets) == 6
    assert ind["viscosity"] == {"log_uniform": (0.007, 0.014)}
    assert ind["forcing.amplitude"] == {"uniform": (0.7, 1.4)}
    assert ind["forcing.wavenumber"] == {"choice": (3, 4, 5)}


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
        (
            {"warm_up_points": 63},
            r"warm_up_points is 63, expected at least data.num_points \(64\) and at most "
            r"data.simulated_points \(128\)",
        ),
        ({"warm_up_points": 129}, r"warm_up_points is 129, .* at most data.simulated_points"),
        ({"frame_interval": 1e9}, f"datasets.{IND}.max_speed is 10.5, .* crosses at most 1e"),
        (
            {"domain_extent": 5e-324},
            f"datasets.{IND}.max_speed is 10.5, .* crosses at most 1e",
        ),
        (
            {"source": "solver"},
            "source is 'solver', expected one of generated, well, pdebench, pdearena, fno, npz",
        ),
    ],
)
def test_a_section_that_nobody_could_generate_is_one_sentence(section, change, sentence):
    with pytest.raises(InputError, match=f"^data.{sentence}"):
        read_data(section | change)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"warm_up": 1e12},
            "max_speed is 10.5, expected a flow that crosses at most 1e",
        ),
        ({"max_speed": 1e300}, "max_speed is 1e\\+300, expected a flow that crosses at most"),
        ({"max_speed": 0.0}, "max_speed is 0.0, expected a number above 0"),
        ({"viscosity": -0.1}, "viscosity is -0.1, expected a number of at least 0"),
        ({"trajectories": {"test": 1}}, r"trajectories has \['test'\], expected \['test', 'train'"),
        (
            {"trajectories": {"train": 10**12, "valid": 1, "test": 1}},
            "trajectories.train is 1000000000000, expected a whole number of at most 1000000",
        ),
        ({"forcing": {"amplitude": 1.0, "angle": 0.0}}, "forcing.wavenumber is missing"),
        ({"viscosity": "low"}, "viscosity is 'low', expected a number or a mapping"),
        ({"drag": {}}, "drag.uniform is missing, expected uniform, log_uniform or choice"),
        (
            {"drag": {"uniform": [0, 1], "choice": [1]}},
            "drag.choice is given beside uniform, expected one of the two",
        ),
        (
            {"viscosity": {"uniform": [0.2, 0.1]}},
            r"viscosity.uniform is \[0.2, 0.1\], expected the smaller bound first",
        ),
        (
            {"viscosity": {"log_uniform": [0.2, 0.1]}},
            r"viscosity.log_uniform is \[0.2, 0.1\], expected the smaller bound first",
        ),
        (
            {"viscosity": {"log_uniform": [0.0, 0.1]}},
            r"viscosity.log_uniform\[0\] is 0.0, expected a number above 0",
        ),
        (
            {"viscosity": {"uniform": [-0.1, 0.1]}},
            r"viscosity.uniform\[0\] is -0.1, expected a number of at least 0",
        ),
        ({"viscosity": {"uniform": [1]}}, r"viscosity.uniform is \[1\], expected a list of 2"),
        ({"drag": {"choice": []}}, r"drag.choice is \[\], expected a list of at least 1"),
        ({"drag": {"normal": [0, 1]}}, "drag.normal is not a known key; .* expected uniform"),
    ],
)
def test_a_regime_that_nobody_could_simulate_is_one_sentence(section, change, sentence):
    section["datasets"][IND] |= change
    with pytest.raises(InputError, match=f"^data.datasets.{IND}.{sentence}"):
        read_data(section)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"wavenumber": 0}, "wavenumber is 0, expected a whole number of at least 1"),
        ({"wavenumber": "k"}, "wavenumber is 'k', expected a whole number or a mapping"),
        ({"wavenumber": {"uniform": [3, 5]}}, "wavenumber.uniform is not a known key; expected"),
        ({"wavenumber": {"choice": []}}, r"wavenumber.choice is \[\], expected a list of at least"),
        ({"wavenumber": {"choice": [3, 0]}}, r"wavenumber.choice\[1\] is 0, expected a whole"),
        ({"amplitude": {"uniform": [2, 1]}}, "amplitude.uniform is .*, expected the smaller bound"),
        ({"angle": {"choice": ["x"]}}, r"angle.choice\[0\] is 'x', expected a number"),
        ({"warm_up_only": 1}, "warm_up_only is 1, expected true or false"),
    ],
)
def test_a_force_that_nobody_could_draw_is_one_sentence(section, change, sentence):
    section["datasets"][IND]["forcing"] |= change
    with pytest.raises(InputError, match=f"^data.datasets.{IND}.forcing.{sentence}"):
        read_data(section)
