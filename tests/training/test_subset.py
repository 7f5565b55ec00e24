"""`train.trajectories`: nested subsets of the training split, and the moments of those alone."""

import h5py
import numpy as np
import pytest
import torch
import yaml
from msgspec.structs import replace

import flows
from chimera.data.layout.splits import Split, open_inputs
from chimera.data.settings import read_data
from chimera.data.sources.importing import import_dataset
from chimera.files.artifacts import write_yaml
from chimera.files.tensors import format_tensors
from chimera.interface.errors import InputError
from chimera.planning.composition import compose
from chimera.training.cell import set_up
from chimera.training.settings import train_settings
from networks import UNET

PARAMS = yaml.safe_load(compose(["scale=smoke"]))
SETTINGS = replace(
    train_settings(PARAMS["train"], {}), steps=4, batch_size=4, validate_every=4, device="cpu"
)
N = 8  # trajectories of the training split, in two files
FIELDS = ["vorticity", "velocity_x"]


@pytest.fixture(params=["linked", "written"])
def dataset(request, tmp_path):
    """Return an imported dataset of two training files of four trajectories each."""
    root = tmp_path / "files"
    for number, (part, name) in enumerate(
        [("train", "0"), ("train", "1"), ("valid", "2"), ("test", "3")]
    ):
        viscosity = 0.1 * (1 + number) + 0.01 * np.arange(4)
        form = {"H": 8, "W": 8, "seed": number, "viscosity": viscosity}
        path = flows.write_well(root / part / f"{name}.hdf5", **form)
        if request.param == "written":  # a vorticity that is computed is not linked
            with h5py.File(path, "r+") as file:
                del file["t0_fields/vorticity"]
    data = yaml.safe_load(compose(["data=well", f"data.root={root}"]))["data"]
    (tmp_path / "ind").mkdir()
    made = import_dataset("ind", read_data(data | {"fields": FIELDS}), tmp_path / "ind")
    write_yaml(tmp_path / "ind/stats.yaml", made.stats)
    return tmp_path / "ind"


def training_split(dataset, wanted=None):
    return Split(dataset / "data/train", FIELDS, wanted=wanted)


def train(dataset, **changes):
    """Return the bytes of a checkpoint and the moments in it."""
    section = {k: v for k, v in UNET.items() if k != "input_shape"} | {
        "type": "unet",
        "input_shape": [None, None, None],
        "channels": [4, 8],
    }
    settings = replace(SETTINGS, **changes)
    one, about = set_up(
        dataset,
        {"boundary": ["periodic"] * 2, "frame_interval": 0.25},
        FIELDS,
        ["viscosity"],
        1,
        section,
        settings,
        (0, 0),
        torch.device("cpu"),
    )
    while not one.finished:
        one.advance()
    return format_tensors(one.weights(), about), about["normalisation"]


def test_subsets_are_nested_drawn_from_every_file_and_in_the_order_of_the_files(dataset):
    """A fixed permutation: by hand, the first m of numpy's for seed 0, sorted."""
    frames = training_split(dataset).read()
    order = np.random.default_rng(0).permutation(N)
    for m in range(1, N + 1):
        subset = training_split(dataset, m)
        assert len(subset) == m
        assert subset.available == N
        np.testing.assert_array_equal(subset.read(), frames[sorted(order[:m])])
    assert {int(i) // 4 for i in order[:4]} == {0, 1}, "half of the data come from both files"


def test_moments_are_those_of_the_subset_and_of_nothing_else(dataset):
    inputs = open_inputs(dataset, FIELDS, ["viscosity"], 3)
    frames = inputs.train.read().astype(np.float64)
    fields = frames[:, :, :2]
    np.testing.assert_allclose(
        inputs.moments["mean"][:2], fields.mean(axis=(0, 1, 3, 4)), atol=1e-9
    )
    expected = fields.std(axis=(0, 1, 3, 4), ddof=1)  # as in stats.yaml
    np.testing.assert_allclose(inputs.moments["std"][:2], expected, rtol=1e-9)
    known = np.log(inputs.train.scalars["viscosity"])
    assert inputs.conditioning == ("ln viscosity",)
    assert inputs.moments["mean"][2] == pytest.approx(known.mean(), rel=1e-6)
    assert inputs.moments["std"][2] == pytest.approx(known.std(), rel=1e-5)
    whole = open_inputs(dataset, FIELDS, ["viscosity"])
    assert whole.moments["std"] != inputs.moments["std"]
    assert len(whole.valid) == len(inputs.valid) == 4


def test_a_subset_trains_to_the_same_bytes_in_memory_and_streamed(dataset):
    few = train(dataset, trajectories=3)
    assert few == train(dataset, trajectories=3, memory=0.0)
    every = train(dataset)
    assert few[1] != every[1]
    assert every == train(dataset, trajectories=N) == train(dataset, trajectories=N, memory=0.0)


def test_more_than_there_are_is_one_sentence(dataset):
    with pytest.raises(InputError) as error:
        train(dataset, trajectories=9)
    assert str(error.value) == ("train.trajectories is 9, expected at most 8")
    with pytest.raises(InputError, match=r"^train\.trajectories is 0, expected .*1"):
        train_settings(PARAMS["train"] | {"trajectories": 0}, {})


def test_a_field_that_the_subset_holds_constant_is_one_sentence(tmp_path):
    """The only trajectory that varies is the last of the order."""
    last = int(np.random.default_rng(0).permutation(N)[-1])
    for name in ("train", "valid"):
        flows.write_well(tmp_path / "data" / name / "a.hdf5", N, H=8, W=8)
        with h5py.File(tmp_path / "data" / name / "a.hdf5", "r+") as file:
            values = file["t0_fields/vorticity"]
            still = np.arange(N) != last
            values[...] = np.where(still[:, None, None, None], 2.5, values[...])
    with pytest.raises(InputError, match=r"'vorticity' is 2\.5 everywhere in the training traj"):
        open_inputs(tmp_path, ["vorticity"], [], N - 1)
