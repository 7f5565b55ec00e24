"""Conditioning channels are the constants of each trajectory, whatever the file it lies in."""

import math
from itertools import pairwise

import h5py
import numpy as np
import pytest

from chimera.data.layout.conditioning import conditioning_moments, with_logarithms
from chimera.data.layout.recordings import Layout
from chimera.data.layout.splits import Split
from chimera.data.sources.well_writer import write_trajectories
from chimera.interface.errors import InputError

NAMES = ("forcing", "ln viscosity", "angle")


def write_files(folder, counts=(2, 3), N=8, T=4):
    """Write files of random flow, and return fields (n, T, N, N), forcing (n, N, N) and scalars."""
    rng = np.random.default_rng(0)
    n = sum(counts)
    flow = rng.standard_normal((n, T, N, N)).astype(np.float32)
    forcing = rng.standard_normal((n, N, N)).astype(np.float32)
    scalars = {"viscosity": rng.uniform(0.01, 0.02, n), "angle": np.linspace(-1, 1, n)}
    extent = (2 * math.pi, 2 * math.pi)
    layout = Layout("generated", (N, N), T, extent=extent, frame_interval=0.5)
    folder.mkdir(parents=True)
    bounds = np.cumsum([0, *counts])
    for number, (first, last) in enumerate(pairwise(bounds)):
        own = {name: values[first:last] for name, values in scalars.items()}
        part = slice(first, last)
        write_trajectories(
            folder / f"{number}.hdf5", flow[part], forcing[part], layout, "flow", own
        )
    return flow, forcing, scalars


def test_every_frame_carries_the_constants_of_its_trajectory(tmp_path):
    flow, forcing, scalars = write_files(tmp_path / "test")
    split = Split(tmp_path / "test", ("vorticity",), NAMES)
    assert split.shape == (5, 4, 4, 8, 8)
    frames = split.read()
    np.testing.assert_array_equal(frames[:, :, 0], flow)
    for t in range(4):
        np.testing.assert_array_equal(frames[:, t, 1], forcing)
        np.testing.assert_allclose(frames[:, t, 2, 0, 0], np.log(scalars["viscosity"]), rtol=1e-6)
        np.testing.assert_allclose(frames[:, t, 3, 5, 7], scalars["angle"], rtol=1e-6)
    window = np.empty((2, 2, 4, 8, 8), dtype=np.float32)
    split.windows([4, 1], [2, 0], window)
    np.testing.assert_array_equal(window, np.stack([frames[4, 2:], frames[1, :2]]))
    assert split.nbytes == frames.nbytes


def test_fields_alone_are_the_same_with_and_without_conditioning(tmp_path):
    write_files(tmp_path / "test")
    alone = Split(tmp_path / "test", ("vorticity", "velocity_x")).read()
    both = Split(tmp_path / "test", ("vorticity", "velocity_x"), NAMES).read()
    np.testing.assert_array_equal(both[:, :, :2], alone)


def test_only_positive_scalars_enter_as_logarithms():
    scalars = {"viscosity": np.array([0.1, 0.2]), "angle": np.array([0.0, 1.0])}
    assert with_logarithms(("forcing", "viscosity", "angle"), scalars) == (
        "forcing",
        "ln viscosity",
        "angle",
    )


def test_moments_are_those_of_the_channels_and_a_constant_one_is_not_scaled():
    values = np.array([1.0, 3.0], dtype=np.float32)[:, None, None]
    constant = np.full((2, 4, 4), 7.0, dtype=np.float32)
    found = conditioning_moments([values, constant])
    assert found == {"mean": [2.0, 7.0], "std": [1.0, 1.0]}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("salt", r"no 'salt' that data\.conditioning names, expected one of forcing, "),
        ("vorticity", r"no 'vorticity' that data\.conditioning names"),
        ("ln angle", r"angle -1, expected more than 0, as its logarithm is an input"),
    ],
)
def test_what_cannot_be_an_input_is_refused_by_name(tmp_path, name, words):
    write_files(tmp_path / "test")
    with pytest.raises(InputError, match=words):
        Split(tmp_path / "test", ("vorticity",), (name,))


def test_a_value_or_a_lack_in_one_of_several_files_names_that_file(tmp_path):
    write_files(tmp_path / "test")
    with h5py.File(tmp_path / "test/1.hdf5", "r+") as file:
        file["scalars/viscosity"][1] = -2.0
    with pytest.raises(InputError, match=r"1\.hdf5 has viscosity -2, expected more than 0"):
        Split(tmp_path / "test", ("vorticity",), ("ln viscosity",)).read()
    with h5py.File(tmp_path / "test/1.hdf5", "r+") as file:
        del file["scalars/viscosity"]
    with pytest.raises(InputError, match=r"1\.hdf5 has no 'viscosity' that data\.conditioning"):
        Split(tmp_path / "test", ("vorticity",), ("ln viscosity",)).read()


def test_values_of_conditioning_are_finite(tmp_path):
    write_files(tmp_path / "test")
    with h5py.File(tmp_path / "test/0.hdf5", "r+") as file:
        file["t0_fields/forcing"][1, 2, 2] = np.nan
    with pytest.raises(InputError, match=r"0\.hdf5 has forcing that is not finite in trajectory 1"):
        Split(tmp_path / "test", ("vorticity",), ("forcing",)).read()
