"""Files in The Well's layout: its own loader opens them, and ours refuses what is broken."""

import math
import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch
from the_well.data import WellDataset
from the_well.data.normalization import ZScoreNormalization

from chimera.data.layout.recordings import Layout
from chimera.data.layout.splits import Split
from chimera.data.sources.threads import on_threads
from chimera.data.sources.well_writer import statistics, write_trajectories
from chimera.fields.fourier import velocity
from chimera.files.artifacts import write_yaml
from chimera.interface.errors import InputError

SCALARS = {
    "viscosity": np.array([0.01, 0.02, 0.015]),
    "drag": np.full(3, 0.1),
    "forcing_amplitude": np.array([1.0, 0.0, 0.5]),
}


def fields(seed=0):
    """Return vorticity (3, 5, 16, 16) of zero mean, float32."""
    vorticity = np.random.default_rng(seed).standard_normal((3, 5, 16, 16))
    vorticity -= vorticity.mean(axis=(-2, -1), keepdims=True)
    return vorticity.astype(np.float32)


def forcing():
    """Return the constant fields (3, 16, 16)."""
    return np.random.default_rng(9).standard_normal((3, 16, 16)).astype(np.float32)


def write(path, vorticity):
    path.parent.mkdir(parents=True, exist_ok=True)
    _, T, N, _ = vorticity.shape
    extent = (2 * math.pi, 2 * math.pi)
    layout = Layout("generated", (N, N), T, extent=extent, frame_interval=0.25)
    write_trajectories(path, vorticity, forcing()[..., :N, :N], layout, "fixture", SCALARS)


@pytest.fixture
def dataset(tmp_path):
    """Return a dataset folder with a train split in one file."""
    write(tmp_path / "fixture/data/train/a.hdf5", fields())
    write_yaml(tmp_path / "fixture/stats.yaml", statistics(fields(), forcing(), 2 * math.pi))
    return tmp_path / "fixture"


@pytest.mark.filterwarnings("ignore::UserWarning:the_well")
def test_the_well_s_own_loader_opens_it(dataset):
    loader = WellDataset(
        path=str(dataset),
        well_split_name="train",
        n_steps_input=1,
        n_steps_output=1,
        use_normalization=False,
    )
    assert len(loader) == 3 * 4
    sample = loader[5]  # trajectory 1, frames 1 and 2
    expected = torch.from_numpy(fields()[1, 1:3])
    torch.testing.assert_close(sample["input_fields"][0, ..., 0], expected[0])
    torch.testing.assert_close(sample["output_fields"][0, ..., 0], expected[1])
    flow = velocity(expected[0].double(), 2 * math.pi).float()
    torch.testing.assert_close(sample["input_fields"][0, ..., 1:], flow)
    assert loader.metadata.boundary_condition_types == ["PERIODIC"]
    assert loader.metadata.constant_scalar_names == list(SCALARS)
    assert loader.metadata.constant_field_names[0] == ["forcing"]
    assert loader.metadata.field_names[0] == ["vorticity"]
    torch.testing.assert_close(sample["constant_fields"][..., 0], torch.from_numpy(forcing()[1]))
    scalars = torch.tensor([values[1] for values in SCALARS.values()])
    torch.testing.assert_close(sample["constant_scalars"].float(), scalars.float())


@pytest.mark.filterwarnings("ignore::UserWarning:the_well")
def test_its_loader_normalises_with_our_statistics(dataset):
    loader = WellDataset(
        path=str(dataset),
        well_split_name="train",
        use_normalization=True,
        normalization_type=ZScoreNormalization,
        n_steps_input=5,
        n_steps_output=0,
    )
    everything = torch.stack([loader[i]["input_fields"] for i in range(len(loader))])
    flat = everything.flatten(0, -2).double()
    torch.testing.assert_close(flat.mean(0), torch.zeros(3).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(flat.std(0), torch.ones(3).double(), atol=1e-5, rtol=0)
    constant = torch.stack([loader[i]["constant_fields"] for i in range(len(loader))]).double()
    assert abs(float(constant.mean())) < 1e-5
    assert float(constant.std()) == pytest.approx(1.0, abs=1e-5)


def test_reads_a_file_of_the_well_s_own_kind(tmp_path):
    """Other fields, chunks and precision than ours, a vector and a constant field."""
    generator = np.random.default_rng(3)
    pressure, flow = generator.standard_normal((2, 4, 8, 12)), generator.random((2, 4, 8, 12, 2))
    with h5py.File(tmp_path / "theirs.hdf5", "w") as file:
        file.create_dataset("t0_fields/pressure", data=pressure, chunks=True, compression="gzip")
        file["t0_fields/depth"] = np.ones((8, 12))
        file["t0_fields/depth"].attrs.update(sample_varying=False, time_varying=False)
        file["t1_fields/flow"] = flow
        file["scalars/Reynolds"] = 400
    split = Split(tmp_path, ["flow_y", "pressure"])
    expected = np.stack([flow[..., 1], pressure], axis=2).astype(np.float32)
    np.testing.assert_array_equal(split.read(), expected)
    assert split.scalars["Reynolds"].tolist() == [400.0, 400.0]
    assert split.layout.boundary == ("open", "open")


@pytest.mark.parametrize("kind", ["ZEBRA", "wall"])
def test_edges_are_of_a_kind_that_the_well_knows(dataset, kind):
    path = dataset / "data/train/a.hdf5"
    with h5py.File(path, "r+") as file:
        for edges in file["boundary_conditions"].values():
            edges.attrs["bc_type"] = kind
    if kind == "wall":
        assert Split(path.parent, ["vorticity"]).layout.boundary == ("open", "open")
        return
    words = r"a\.hdf5: boundary_conditions/x_periodic is ZEBRA, expected PERIODIC, WALL or OPEN"
    with pytest.raises(InputError, match=words):
        Split(path.parent, ["vorticity"])


def test_a_file_that_counts_other_trajectories_than_it_has_is_refused(dataset):
    path = dataset / "data/train/a.hdf5"
    with h5py.File(path, "r+") as file:
        assert file.attrs["n_trajectories"] == 3
    for stated, said in ((99, "99"), ([2, 2], "2 2"), ("three", "three")):
        with h5py.File(path, "r+") as file:
            file.attrs["n_trajectories"] = stated
        words = rf"a\.hdf5 has 3 trajectories, expected {said} as n_trajectories says"
        with pytest.raises(InputError, match=words):
            Split(path.parent, ["vorticity"])


def test_reads_what_was_written(dataset):
    split = Split(dataset / "data/train", ["vorticity"])
    np.testing.assert_array_equal(split.read()[:, :, 0], fields())
    assert set(split.scalars) == set(SCALARS)
    for name, values in SCALARS.items():
        np.testing.assert_array_equal(split.scalars[name], values)
    assert split.layout.boundary == ("periodic", "periodic")
    assert split.layout.extent == pytest.approx((2 * math.pi, 2 * math.pi))
    assert split.layout.frame_interval == pytest.approx(0.25)


def test_a_field_constant_in_time_is_none_to_forecast(dataset):
    with pytest.raises(InputError, match=r"a\.hdf5 has no dataset of the field 'forcing'"):
        Split(dataset / "data/train", ["forcing"])


def test_statistics_do_not_depend_on_the_number_of_threads():
    """The stage computes them on one thread, on which every sum has one order."""
    vorticity = np.random.default_rng(1).standard_normal((8, 9, 64, 64)).astype(np.float32)
    source = vorticity[:, 0]
    with on_threads(1):
        expected = statistics(vorticity, source, 1.0)
    torch.set_num_threads(4)
    with on_threads(1):
        assert statistics(vorticity, source, 1.0) == expected
    assert torch.get_num_threads() == 4


def test_files_are_read_in_the_order_of_their_names(dataset):
    write(dataset / "data/train/b.hdf5", fields(1))
    vorticity = Split(dataset / "data/train", ["vorticity"]).read()[:, :, 0]
    np.testing.assert_array_equal(vorticity, np.concatenate([fields(0), fields(1)]))


def test_equal_content_gives_equal_bytes_in_another_process(dataset, tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(__file__.rsplit('/', 1)[0])!r}); import test_well; "
        f"from pathlib import Path; test_well.write(Path({str(tmp_path / 'b.hdf5')!r}), "
        "test_well.fields())"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    written = (dataset / "data/train/a.hdf5").read_bytes()
    assert (tmp_path / "b.hdf5").read_bytes() == written


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t0_fields/vorticity", np.ones((3, 16, 16)), r"shape \(3, 16, 16\), expected 4 axes"),
        ("t0_fields/vorticity", "text", r"t0_fields/vorticity is object"),
        ("t0_fields/vorticity", None, r"t0_fields/vorticity is a group"),
        ("t1_fields/velocity", np.ones((3, 5, 8, 8, 2)), r"t1_fields/velocity has shape"),
    ],
)
def test_another_layout_is_one_sentence(dataset, name, content, words):
    with h5py.File(dataset / "data/train/a.hdf5", "r+") as file:
        del file[name]
        if content is None:
            file.create_group(name)
        else:
            file[name] = content
    with pytest.raises(InputError, match=r"a\.hdf5.*" + words):
        Split(dataset / "data/train", ["vorticity", "velocity_x"])


def test_other_faults_are_one_sentence(dataset, tmp_path):
    folder = dataset / "data/train"
    with pytest.raises(InputError, match=r"absent holds no \*\.hdf5"):
        Split(tmp_path / "absent", ["vorticity"])
    with pytest.raises(InputError, match=r"a\.hdf5 has no dataset of the field 'pressure'"):
        Split(folder, ["pressure"])
    with h5py.File(folder / "a.hdf5", "r+") as file:
        file["t0_fields/vorticity"][2, 3, 0, 0] = np.nan
    with pytest.raises(InputError, match=r"a\.hdf5 .* not finite in trajectory 2, frame 3"):
        Split(folder, ["vorticity"]).read()
    write(folder / "a.hdf5", fields())
    write(folder / "b.hdf5", fields()[..., :8, :8])
    with pytest.raises(InputError, match=r"b\.hdf5 has a grid of 8 x 8, expected 16 x 16 as in"):
        Split(folder, ["vorticity"])
