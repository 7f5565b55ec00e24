"""Layouts that people publish, each with the value or the sentence that its files give."""

import math

import h5py
import numpy as np
import pytest
from test_importing import config, made, read_back

import flows
from chimera.data.layout.leakage import Frames, repeated_frames
from chimera.data.layout.links import read_links
from chimera.data.layout.splits import Split
from chimera.interface.errors import InputError

VELOCITY = ("velocity_x", "velocity_y")
LENGTH = 2 * math.pi


def imported(tmp_path, source, root, fields=("vorticity",), **changes):
    """Import a dataset and return what `Made` says and all its trajectories."""
    result = made(config(source, root, fields, **changes), tmp_path / "ind")
    return result, read_back(result, tmp_path / "ind", fields)


def refused(tmp_path, words, *arguments, **changes):
    """Assert that one sentence with these words refuses an import."""
    folder = tmp_path / f"refused_{len(list(tmp_path.iterdir())) if tmp_path.exists() else 0}"
    with pytest.raises(InputError, match=words) as error:
        made(config(*arguments, **changes), folder)
    assert "\n" not in str(error.value)


def write_pdearena(path, split="train", n=4, seed=0):
    """Write PDEArena's layout: a group of the split's name, float64, coordinates a trajectory."""
    u, v, vorticity = flows.flow(n, H=12, W=16, seed=seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        group = file.create_group(split)
        group["vx"], group["vy"], group["u"] = (f.astype(np.float64) for f in (u, v, vorticity))
        for name, points, step in (("t", 9, 1.5), ("x", 12, 0.25), ("y", 16, 0.5)):
            group[name] = np.tile(np.arange(points) * step, (n, 1))
        group["dt"], group["buo_y"] = np.full(n, 1.5), np.linspace(0.2, 0.5, n)
    return path


def write_mat(path, n=5, T=4):
    """Write u (N, x, y, T) as MATLAB v7.3 does: a user block, and the axes reversed."""
    vorticity = flows.flow(n, T=T, H=8, W=12)[2]
    with h5py.File(path, "w", userblock_size=512) as file:
        file["u"] = vorticity.transpose(1, 3, 2, 0)  # (n, T, x, y) to (T, y, x, n)
        file["a"] = vorticity[:, 0].transpose(2, 1, 0)
        file["t"] = np.arange(1.0, T + 1)[:, None]
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file")
    return path, vorticity


# What is read.


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_arrays_of_any_number_of_channels(tmp_path, channels, suffix):
    frames = np.random.default_rng(0).standard_normal((4, 6, channels, 5, 7)).astype(np.float32)
    path = tmp_path / f"2d_phy_kolm_flow_train{suffix}"
    np.save(path, frames) if suffix == ".npy" else np.savez(path, trajectories=frames)
    names = [f"c{i}" for i in range(channels)]
    _, read = imported(tmp_path, "npz", path, names)
    np.testing.assert_array_equal(read, frames)
    _, later = imported(tmp_path / "later", "npz", path, names, first_frame=2)
    np.testing.assert_array_equal(later, frames[:, 2:])


def test_blocks_of_an_archive_skip_first_frames(tmp_path, monkeypatch):
    frames = np.random.default_rng(0).standard_normal((3, 6, 2, 4, 4)).astype(np.float32)
    np.save(tmp_path / "a.npy", frames)
    monkeypatch.setattr("chimera.data.layout.recordings.BLOCK", 1)
    _, later = imported(tmp_path, "npz", tmp_path / "a.npy", ("u", "v"), first_frame=3)
    np.testing.assert_array_equal(later, frames[:, 3:])


def test_pdearena(tmp_path):
    for seed, split in enumerate(("train", "valid", "test")):
        write_pdearena(tmp_path / f"NavierStokes2D_{split}.h5", split, seed=seed)
    fields = ("u", *VELOCITY)
    result, read = imported(tmp_path, "pdearena", tmp_path, fields)
    assert {split: len(frames.digests) for split, frames in result.frames.items()} == dict.fromkeys(
        ("train", "valid", "test"), 4
    )
    assert result.layout.extent == (12 * 0.25, 16 * 0.5)
    assert result.layout.frame_interval == 1.5
    assert result.layout.boundary == ("open", "open")
    u, v, vorticity = flows.flow(4, H=12, W=16, seed=2)  # of `test`, the first by name
    np.testing.assert_array_equal(read[:4], np.stack([vorticity, u, v], axis=2))
    scalars = Split(tmp_path / "ind/data/test", fields).scalars
    np.testing.assert_array_equal(scalars["buo_y"], np.linspace(0.2, 0.5, 4))


def test_fno_of_matlab(tmp_path):
    path, truth = write_mat(tmp_path / "ns_V1e-3_N5_T4.mat")
    result, read = imported(tmp_path, "fno", path)
    np.testing.assert_array_equal(read[:, :, 0], truth)
    assert (result.layout.extent, result.layout.frame_interval) == ((1.0, 1.0), 1.0)
    _, later = imported(tmp_path / "later", "fno", path, first_frame=1)
    np.testing.assert_array_equal(later[:, :, 0], truth[:, 1:])
    (tmp_path / "v5.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(500))
    refused(tmp_path, r"v5\.mat is not a whole HDF5 file", "fno", tmp_path / "v5.mat")


def test_a_stopped_simulation_is_read_up_to_its_latest_frame(tmp_path, capsys):
    path = flows.write_incompressible(tmp_path / "w/a.h5", n=4)
    with h5py.File(path, "r+") as file:
        file.attrs["latestIndex"] = 4
        file["velocity"][:, 5:] = 0
        file["t"][:, 5:] = 0
    result, read = imported(tmp_path, "pdebench", path, VELOCITY)
    np.testing.assert_array_equal(read, np.stack(flows.flow(4)[:2], axis=2)[:, :5])
    assert result.layout.frame_interval == pytest.approx(0.05)
    assert "latestIndex is 4, expected 8" in capsys.readouterr().err
    flows.write_incompressible(tmp_path / "w/b.h5", n=4, seed=1)
    words = r"b\.h5 has trajectories of so many frames: 9, expected 5 .*a\.h5: latestIndex is 4"
    refused(tmp_path, words, "pdebench", tmp_path / "w", VELOCITY)


def test_the_box_of_pdebench_is_its_domain_size(tmp_path):
    path = flows.write_incompressible(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["config"] = (
            "NU: 0.01\ndomain_size:\n- 1\n- 2\nvelocity_extrapolation: PERIODIC\n"
        )
    result, read = imported(tmp_path, "pdebench", path)
    assert result.layout.extent == (1.0, 2.0)
    # The flow of a box of 2 pi: derivatives along x grow by 2 pi, along y by pi.
    with h5py.File(path) as file:
        u, v = file["velocity"][..., 0].astype(float), file["velocity"][..., 1].astype(float)
    k = 2j * math.pi * np.fft.fftfreq(16, 1 / 16)
    dv_dx = np.fft.ifft(np.fft.fft(v, axis=2) * k[:, None], axis=2).real
    du_dy = np.fft.ifft(np.fft.fft(u, axis=3) * k / 2, axis=3).real
    np.testing.assert_allclose(read[:, :, 0], dv_dx - du_dy, atol=1e-4)


def test_what_cannot_be_a_field_is_left_aside_with_a_word(tmp_path, capsys):
    path = flows.write_well(tmp_path / "a.hdf5")
    with h5py.File(path, "r+") as file:
        file["t0_fields/inflow"] = np.ones((4, 9, 16), dtype=np.float32)
        file["t0_fields/mask"] = np.ones((4, 9, 16, 16), dtype=bool)
        file["t1_fields/flux"] = np.ones((4, 9, 16, 16, 3), dtype=np.float32)
        file["scalars/name"] = "duct"
        file["scalars/pump"] = np.ones(9)
    _, read = imported(tmp_path, "well", path)
    np.testing.assert_array_equal(read[:, :, 0], flows.flow(extent=(6.0, 6.0))[2])
    told = capsys.readouterr().err
    for name in ("inflow", "mask", "flux_x", "flux_y", "name", "pump"):
        assert name in told.split("set aside")[0]
    refused(tmp_path, r"inflow has shape \(4, 9, 16\), expected 4 axes", "well", path, ("inflow",))


# Leakage and repetition.


def test_a_common_first_frame_leaks_no_target(tmp_path, capsys):
    path = flows.write_well(tmp_path / "a.hdf5", n=6)
    with h5py.File(path, "r+") as file:
        file["t0_fields/vorticity"][:, 0] = 0.0  # rest
    imported(tmp_path, "well", path)
    result = made(config("well", path, first_frame=1), tmp_path / "later")
    (link,) = read_links(tmp_path / "later/data/train/links.yaml")
    assert link.first_frame == 1
    truth = flows.flow(6, extent=(6.0, 6.0))[2]
    np.testing.assert_array_equal(read_back(result, tmp_path / "later")[:, :, 0], truth[:, 1:])
    split = Split(tmp_path / "later/data/train", ["vorticity"])
    window = np.empty((1, 2, 1, 16, 16), dtype=np.float32)
    split.windows([0], [3], window)
    np.testing.assert_array_equal(window[0, :, 0], truth[link.trajectories[0], 4:6])
    words = r"trajectories of 9 frames, of which data\.first_frame skips 8, expected at least 2"
    refused(tmp_path, words, "well", path, first_frame=8)


def test_repeated_frames_of_a_split_are_counted():
    digests = np.arange(24, dtype=np.uint64).reshape(3, 4, 2)
    assert repeated_frames(Frames(digests, ["a", "b", "c"])) == ""
    digests[2, 1:] = digests[0, :3]
    assert repeated_frames(Frames(digests, ["a", "b", "c"])) == (
        "3 of 12 frames repeat another one bit for bit: the first is frame 1 of c, as frame 0 of a"
    )


def test_a_field_that_is_still_is_reported_before_any_training(tmp_path, capsys):
    path = flows.write_well(tmp_path / "w/a.hdf5", n=5)
    still = flows.write_well(tmp_path / "w/riemann.hdf5", n=2, seed=1)
    datasets = {"ind": {}, "ood_riemann": {"files": "riemann*.hdf5"}}
    data = config("well", path.parent, VELOCITY, datasets=datasets)
    with h5py.File(still, "r+") as file:
        file["t0_fields/velocity_y"][1] = 2.5
    made(data, tmp_path / "told", "ood_riemann")
    told = capsys.readouterr().err
    assert "velocity_y 2.5 everywhere in trajectory 1, frame 1" in told
    assert "vrmse" in told
    with h5py.File(still, "r+") as file:
        file["t0_fields/velocity_y"][1] = 0
    with pytest.raises(InputError, match=r"velocity_y 0 everywhere in trajectory 1.*nrmse"):
        made(data, tmp_path / "refused", "ood_riemann")
    made(data, tmp_path / "ind")


# Coordinates decide.


def spoil(path, name, change):
    """Replace a dataset by what `change` makes of it."""
    with h5py.File(path, "r+") as file:
        values = file[name][...]
        del file[name]
        file[name] = change(values)


@pytest.mark.parametrize("boundary", ["periodic", "open"])
@pytest.mark.parametrize("stated", [None, (LENGTH, LENGTH)])
def test_a_descending_coordinate_turns_the_sign_of_its_derivative(tmp_path, stated, boundary):
    path = flows.write_pdebench(tmp_path / "a.hdf5", H=48, W=48)
    truth = flows.flow(4, H=48, W=48)[2]
    for name in ("Vx", "Vy"):
        spoil(path, name, lambda values: values[:, :, ::-1])
    spoil(path, "x-coordinate", lambda points: points[::-1])
    changes = {"extent": stated, "boundary": [boundary, "periodic"]}
    result, read = imported(tmp_path, "pdebench", path, **changes)
    assert result.layout.extent == pytest.approx((-LENGTH, LENGTH))
    inside = slice(None) if boundary == "periodic" else slice(1, -1)
    tolerance = 1e-5 if boundary == "periodic" else (3 * LENGTH / 48) ** 2 / 6
    error = np.abs(read[:, :, 0, inside] - truth[:, :, ::-1][:, :, inside]).max()
    assert error <= tolerance * np.abs(truth).max()


def test_a_negative_extent_turns_the_sign_where_a_file_says_nothing(tmp_path):
    path = flows.write_pdebench(tmp_path / "a.hdf5")
    for name in ("Vx", "Vy"):
        spoil(path, name, lambda values: values[:, :, ::-1])
    with h5py.File(path, "r+") as file:
        del file["x-coordinate"], file["y-coordinate"]
    refused(tmp_path, "has no coordinates.*expected data.extent", "pdebench", path)
    _, read = imported(tmp_path, "pdebench", path, extent=(-LENGTH, LENGTH))
    truth = flows.flow(4)[2][:, :, ::-1]
    np.testing.assert_allclose(read[:, :, 0], truth, atol=1e-5 * np.abs(truth).max())


def test_coordinates_that_are_not_equidistant_refuse_vorticity_whatever_is_stated(tmp_path):
    path = flows.write_pdebench(tmp_path / "a.hdf5")
    spoil(path, "y-coordinate", lambda points: (1 - np.cos(points / 2)) / 2)
    words = r"a\.hdf5 has coordinates that are not equidistant \(y-coordinate\)"
    refused(tmp_path, words, "pdebench", path)
    refused(tmp_path / "b", words, "pdebench", path, extent=(1.0, 1.0))
    result, _ = imported(tmp_path, "pdebench", path, VELOCITY, extent=(1.0, 1.0))
    assert result.layout.extent is None, "so that no spectrum has a scale"


@pytest.mark.parametrize(
    "times", [lambda t: t**2, lambda t: t * np.arange(1, 5)[:, None], lambda t: t[::-1]]
)
def test_an_interval_that_varies_is_refused(tmp_path, times):
    path = flows.write_incompressible(tmp_path / "a.h5")
    spoil(path, "t", lambda t: times(t[0]) + np.zeros((4, 1)))
    words = r"a\.h5 has frames \S+ to \S+ apart in t, expected one interval for all"
    refused(tmp_path, words, "pdebench", path, VELOCITY, frame_interval=0.05)


# Files of one dataset agree.


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"t-coordinate": 2.0},
            r"b\.hdf5 has a frame interval of 0\.1, expected 0\.05 as in .*a\.h",
        ),
        (
            {"x-coordinate": 0.5},
            r"b\.hdf5 has the extent 3\.142 x 6\.283, expected 6\.283 x 6\.283",
        ),
    ],
)
def test_files_that_differ_are_named(tmp_path, change, words):
    flows.write_pdebench(tmp_path / "w/a.hdf5")
    other = flows.write_pdebench(tmp_path / "w/b.hdf5", seed=1)
    data = config("pdebench", tmp_path / "w", VELOCITY)
    made(data, tmp_path / "same")
    for name, factor in change.items():
        spoil(other, name, lambda points, by=factor: points * by)
    refused(tmp_path, words, "pdebench", tmp_path / "w", VELOCITY)


def test_boundaries_that_differ_are_named(tmp_path):
    flows.write_well(tmp_path / "w/a.hdf5")
    flows.write_well(tmp_path / "w/b.hdf5", seed=1, boundary=("periodic", "open"))
    words = r"b\.hdf5 has the boundaries periodic and open, expected periodic and periodic as in"
    refused(tmp_path, words, "well", tmp_path / "w")


# Files that are not what they say.


def test_values_in_another_file_are_refused(tmp_path):
    path = flows.write_well(tmp_path / "a.hdf5")
    (tmp_path / "other").mkdir()
    flows.write_well(tmp_path / "other/b.hdf5", seed=1)
    for place in (
        h5py.ExternalLink("other/b.hdf5", "t0_fields/vorticity"),
        "virtual",
    ):
        with h5py.File(path, "r+") as file:
            del file["t0_fields/vorticity"]
            if place != "virtual":
                file["t0_fields/vorticity"] = place
            else:
                virtual = h5py.VirtualLayout((4, 9, 16, 16), np.float32)
                virtual[...] = h5py.VirtualSource(
                    str(tmp_path / "other/b.hdf5"), "t0_fields/vorticity", (4, 9, 16, 16)
                )
                file["t0_fields"].create_virtual_dataset("vorticity", virtual)
        words = r"a\.hdf5: t0_fields/vorticity is in (another|other) files?, expected everything"
        refused(tmp_path, words, "well", path)


def test_absurd_shapes_are_one_sentence(tmp_path):
    path = flows.write_well(tmp_path / "a.hdf5")
    with h5py.File(path, "r+") as file:
        for name in list(file["t0_fields"]):
            del file["t0_fields"][name]
        shape = (10**9, 10**6, 64, 64)
        file["t0_fields"].create_dataset("vorticity", shape, np.float32, chunks=(1, 1, 64, 64))
    words = r"vorticity has shape \(1000000000, .* expected values in the file"
    refused(tmp_path, words, "well", path)
    with (tmp_path / "a.npy").open("wb") as stream:
        header = {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**6, 1, 64, 64)}
        np.lib.format.write_array_header_1_0(stream, header)
    refused(tmp_path, words.replace("vorticity", "trajectories"), "npz", tmp_path / "a.npy")


def test_odd_metadata_is_one_sentence(tmp_path):
    path = flows.write_well(tmp_path / "a.hdf5")
    with h5py.File(path, "r+") as file:
        del file["dimensions"]
        file["dimensions"] = np.ones(3)
        del file["scalars"]
        file["scalars"] = 1.0
    refused(tmp_path / "1", r"a\.hdf5 is not a file of data\.source well: ", "well", path)
    with h5py.File(path, "r+") as file:
        file["boundary_conditions/x_periodic"].attrs["bc_type"] = np.ones((2, 2))
    words = r"a\.hdf5: boundary_conditions/x_periodic is \[1\.0, 1\.0\], expected PERIODIC, WALL or"
    refused(tmp_path / "2", words, "well", path)


def test_a_thousand_names_make_a_short_sentence(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, **{f"array_{i}": np.ones(2) for i in range(1000)})
    with pytest.raises(InputError, match="992 more") as error:
        made(config("npz", path), tmp_path / "ind")
    assert len(str(error.value)) < 300 + len(str(path))
