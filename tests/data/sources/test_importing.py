"""Files in every layout become datasets; every fault is one sentence that names where it is."""

import math
import shutil
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import flows
from chimera.data.batches.prefetch import Prefetched
from chimera.data.batches.streaming import open_windows
from chimera.data.batches.trajectories import Form, Windows
from chimera.data.layout.leakage import require_disjoint
from chimera.data.layout.links import read_links
from chimera.data.layout.splits import Split
from chimera.data.settings import ImportedData, Selection, read_data
from chimera.data.sources.importing import import_dataset
from chimera.data.sources.selection import read_condition
from chimera.files.artifacts import sha256
from chimera.interface.errors import InputError

FRACTIONS = {"train": 0.7, "valid": 0.15, "test": 0.15}


def config(source, root, fields=("vorticity",), **changes):
    """Return a data config as conf/data/ has it."""
    section = {
        "source": source,
        "conditioning": (),
        "past_frames": 1,
        "root": str(root),
        "seed": 0,
        "manifests": "data/manifests/test",
        "fields": list(fields),
        "shape": [None, None, None],
        "boundary": ["periodic", "periodic"] if source == "npz" else None,
        "extent": None,
        "frame_interval": None,
        "fractions": FRACTIONS,
        "names": ["ind"],
        "generated": [],
        "imported": ["ind"],
        "datasets": {"ind": {}},
    }
    return read_data(section | changes)


def made(data, folder, name="ind"):
    """Import one dataset into a folder, as the stage does, and refuse leaks."""
    folder.mkdir(parents=True)
    result = import_dataset(name, data, folder)
    require_disjoint(result.frames)
    return result


def read_back(result, folder, fields=("vorticity",)):
    """Return every trajectory (n, T, C, H, W) in the order of the source, one file or one each."""
    found = {}
    for split, frames in result.frames.items():
        trajectories = Split(folder / "data" / split, fields).read()
        for place, values in zip(frames.places, trajectories, strict=True):
            _, number, _, path = place.split()
            found[path, int(number)] = values
    return np.stack([found[place] for place in sorted(found)])


def sources(folder):
    """Write one small source of each kind; return {source: (root, files)}."""
    return {
        "pdebench": flows.write_pdebench(folder / "cfd" / "a.hdf5", H=8, W=12),
        "well": flows.write_well(folder / "well" / "a.hdf5", H=8, W=12),
        "npz": flows.write_arrays(folder / "npz" / "a.npz", H=8, W=12),
    }


# What is read is what was written.


@pytest.mark.parametrize("extent", [(2 * math.pi, 2 * math.pi), (1.0, 3.0)])
@pytest.mark.parametrize("write", [flows.write_pdebench, flows.write_incompressible])
def test_vorticity_of_pdebench_is_that_of_its_velocity(tmp_path, write, extent):
    if write is flows.write_incompressible:
        extent = (2 * math.pi, 2 * math.pi)
        write(tmp_path / "a.hdf5", H=16, W=20)
    else:
        write(tmp_path / "a.hdf5", H=16, W=20, extent=extent)
    result = made(config("pdebench", tmp_path / "a.hdf5"), tmp_path / "ind")
    truth = flows.flow(4, H=16, W=20, extent=extent)[2]
    read = read_back(result, tmp_path / "ind")[:, :, 0]
    np.testing.assert_allclose(read, truth, atol=2e-6 * np.abs(truth).max())
    assert result.layout.boundary == ("periodic", "periodic")
    assert result.layout.frame_interval == pytest.approx(0.05)
    assert result.layout.extent == pytest.approx(extent)


def test_fields_are_chosen_by_name_and_stay_bit_for_bit(tmp_path):
    names = ["density", "velocity_y", "velocity_x"]
    flows.write_pdebench(tmp_path / "a.hdf5", n=5)
    result = made(config("pdebench", tmp_path / "a.hdf5", names), tmp_path / "ind")
    with h5py.File(tmp_path / "a.hdf5") as file:
        truth = np.stack([file["density"], file["Vy"], file["Vx"]], axis=2)
    np.testing.assert_array_equal(read_back(result, tmp_path / "ind", names), truth)


def test_statistics_are_those_of_the_train_split(tmp_path):
    names = ["velocity_x", "pressure"]
    flows.write_pdebench(tmp_path / "a.hdf5", n=6)
    stats = made(config("pdebench", tmp_path / "a.hdf5", names), tmp_path / "ind").stats
    train = Split(tmp_path / "ind/data/train", names).read().astype(np.float64)
    change = np.diff(train, axis=1)
    for channel, name in enumerate(names):
        for suffix, values in (("", train[:, :, channel]), ("_delta", change[:, :, channel])):
            assert stats["mean" + suffix][name] == pytest.approx(values.mean(), abs=1e-9)
            assert stats["std" + suffix][name] == pytest.approx(values.std(ddof=1))
            assert stats["rms" + suffix][name] == pytest.approx(np.sqrt((values**2).mean()))


def test_blocks_smaller_than_a_trajectory_change_nothing(tmp_path, monkeypatch):
    flows.write_incompressible(tmp_path / "a.hdf5")
    whole = made(config("pdebench", tmp_path / "a.hdf5"), tmp_path / "whole")
    monkeypatch.setattr("chimera.data.layout.recordings.BLOCK", 1)
    parts = made(config("pdebench", tmp_path / "a.hdf5"), tmp_path / "parts")
    for path in (tmp_path / "whole").rglob("*.hdf5"):
        other = Path(str(path).replace("/whole/", "/parts/"))
        assert path.read_bytes() == other.read_bytes()
    for moment, values in whole.stats.items():
        assert parts.stats[moment]["vorticity"] == pytest.approx(values["vorticity"], abs=1e-12)


def test_the_well_is_linked_and_nothing_is_copied(tmp_path):
    root = flows.write_well_folder(tmp_path / "waves")
    made(config("well", root), tmp_path / "ind")
    assert not list((tmp_path / "ind").rglob("*.hdf5"))
    for split, n in (("train", 4), ("valid", 2), ("test", 2)):
        (link,) = read_links(tmp_path / "ind/data" / split / "links.yaml")
        path = root / f"data/{split}/waves_{split}.hdf5"
        assert link.path == str(path)
        assert link.sha256 == sha256(path)
        assert len(Split(tmp_path / "ind/data" / split, ["vorticity"])) == n
        with h5py.File(path) as file:
            expected = file["t0_fields/vorticity"][...]
        read = Split(tmp_path / "ind/data" / split, ["vorticity"]).read()
        np.testing.assert_array_equal(read[:, :, 0], expected)


def test_pairs_are_trajectories_of_two_frames(tmp_path):
    flows.write_pairs(tmp_path / "pairs", n=7)
    result = made(config("npz", tmp_path / "pairs"), tmp_path / "ind")
    assert result.layout.num_frames == 2
    truth = flows.flow(7, T=2)[2]
    np.testing.assert_array_equal(read_back(result, tmp_path / "ind")[:, :, 0], truth)


def test_a_compressed_archive_reads_the_same(tmp_path):
    path = flows.write_arrays(tmp_path / "a.npz")
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez_compressed(tmp_path / "b.npz", **arrays)
    truth = flows.flow()[2]
    for name in ("a", "b"):
        folder = tmp_path / name / "ind"
        result = made(config("npz", tmp_path / f"{name}.npz"), folder)
        np.testing.assert_array_equal(read_back(result, folder)[:, :, 0], truth)


def test_memory_does_not_grow_with_the_file(tmp_path, monkeypatch):
    """Eight times the trajectories, the same peak: blocks of 256 KiB, 17 MB a field."""
    monkeypatch.setattr("chimera.data.layout.recordings.BLOCK", 1 << 18)
    peaks = []
    for n in (4, 32):
        path = tmp_path / f"{n}.hdf5"
        noise = np.random.default_rng(n).standard_normal((n, 8, 128, 128), dtype=np.float32)
        with h5py.File(path, "w") as file:
            file["Vx"], file["Vy"] = noise, noise[::-1].copy()
            file["x-coordinate"] = file["y-coordinate"] = np.arange(128) / 128
        size = noise.nbytes
        del noise
        tracemalloc.start()
        made(config("pdebench", path), tmp_path / str(n))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1e6 < size / 2


# Splits and axes.


def test_three_trajectories_are_enough(tmp_path):
    flows.write_pdebench(tmp_path / "a.hdf5", n=3)
    made(config("pdebench", tmp_path / "a.hdf5"), tmp_path / "ind")
    assert [len(Split(p, ["vorticity"])) for p in (tmp_path / "ind/data").iterdir()] == [1, 1, 1]


def test_splits_follow_the_fractions_and_the_seed(tmp_path):
    flows.write_arrays(tmp_path / "a.npz", n=40, T=2, H=4, W=4)

    def places(seed, name):
        result = made(config("npz", tmp_path / "a.npz", seed=seed), tmp_path / name)
        return {split: tuple(frames.places) for split, frames in result.frames.items()}

    one, again, other = places(0, "one"), places(0, "again"), places(1, "other")
    assert one == again != other
    assert {split: len(found) for split, found in one.items()} == {
        "train": 28,
        "valid": 6,
        "test": 6,
    }
    assert len(set(sum(one.values(), ()))) == 40


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({"where": "viscosity < 2e-2"}, [0]),
        ({"where": "viscosity >= 0.02 and viscosity != 0.03"}, [1, 3]),
        ({"files": "high*.hdf5"}, [4, 5, 6]),
        ({"trajectories": [6, 2]}, [2, 6]),
        ({"files": "low*.hdf5", "where": "viscosity > 0.03"}, [3]),
    ],
)
def test_an_axis_takes_what_it_names_from_ind(tmp_path, selection, expected):
    flows.write_well(tmp_path / "w/low.hdf5", 4, viscosity=[0.01, 0.02, 0.03, 0.04], seed=0)
    flows.write_well(tmp_path / "w/high.hdf5", 3, viscosity=0.02, seed=1)
    # Names in order: high.hdf5 holds 0 to 2 and low.hdf5 3 to 6; `expected` counts low first.
    numbers = [3, 4, 5, 6, 0, 1, 2]
    if "trajectories" in selection:
        selection = {"trajectories": [numbers[i] for i in selection["trajectories"]]}
    if selection == {"where": "viscosity >= 0.02 and viscosity != 0.03"}:
        expected = [1, 3, 4, 5, 6]
    rest = sorted(set(range(7)) - set(expected))
    datasets = {"ind": {}, "ood_axis": selection}
    data = config("well", tmp_path / "w", datasets=datasets)
    if len(rest) < 3:
        with pytest.raises(InputError, match="expected at least 3"):
            made(data, tmp_path / "ind")
    else:
        names = [f"trajectory {n - 3} of {tmp_path}/w/low.hdf5" for n in (3, 4, 5, 6)]
        names += [f"trajectory {n} of {tmp_path}/w/high.hdf5" for n in (0, 1, 2)]
        axis = made(data, tmp_path / "ood_axis", "ood_axis").frames
        assert set(axis["test"].places) == {names[i] for i in expected}
        ind = made(data, tmp_path / "ind").frames
        assert {p for frames in ind.values() for p in frames.places} == {names[i] for i in rest}


def test_a_trajectory_in_two_datasets_is_refused(tmp_path):
    flows.write_well(tmp_path / "a.hdf5", 6, viscosity=[1, 2, 3, 4, 5, 6])
    datasets = {
        "ind": {},
        "ood_low": {"where": "viscosity < 3"},
        "ood_one": {"trajectories": [1]},
    }
    data = config("well", tmp_path / "a.hdf5", datasets=datasets)
    words = (
        r"trajectory 1 of .*a\.hdf5 is in data\.datasets\.ood_low and in data\.datasets\.ood_one"
    )
    with pytest.raises(InputError, match=words):
        made(data, tmp_path / "ind")


def test_an_input_and_its_target_in_two_splits_name_both_places(tmp_path):
    path = flows.write_well(tmp_path / "a.hdf5", 8)
    data = config("well", path)
    frames = made(data, tmp_path / "before").frames
    train, test = (frames[split].places[0] for split in ("train", "test"))
    i, j = (int(place.split()[1]) for place in (train, test))
    with h5py.File(path, "r+") as file:
        file["t0_fields/vorticity"][j, 2] = file["t0_fields/vorticity"][i, 5]
    made(data, tmp_path / "alone")  # an input whose target is another one
    with h5py.File(path, "r+") as file:
        file["t0_fields/vorticity"][j, 3] = file["t0_fields/vorticity"][i, 6]
    with pytest.raises(InputError) as error:
        made(data, tmp_path / "after")
    assert f"frame 5 of {train} (in train)" in str(error.value)
    assert f"frame 2 of {test} (in test), and so is the frame after it" in str(error.value)


def test_conditions_that_are_none(tmp_path):
    assert read_condition("a<1 and b >= -2e3", "where") == [("a", "<", 1.0), ("b", ">=", -2000.0)]
    for text in ("viscosity", "viscosity < low", "1e-3 > viscosity", "a < 1 or b < 2", ""):
        with pytest.raises(InputError, match="expected comparisons such as"):
            read_condition(text, "where")


# What cannot be used.


def rewrite(path, name, change):
    """Replace one array of a file by what `change` makes of it."""
    if path.suffix == ".npz":
        with np.load(path) as archive:
            arrays = dict(archive)
        np.savez(path, **(arrays | {name: change(arrays[name])}))
        return
    with h5py.File(path, "r+") as file:
        values, attributes = file[name][...], dict(file[name].attrs)
        del file[name]
        file[name] = change(values)
        file[name].attrs.update(attributes)


FIELD = {
    "pdebench": "Vx",
    "well": "t0_fields/vorticity",
    "npz": "trajectories",
}


@pytest.mark.parametrize("source", FIELD)
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("missing", "{missing}"),
        ("rank", "{name} has shape .*, expected"),
        ("nan", r"2 frames with values that are not finite, the first of .*trajectory 1, frame 3"),
        ("zero", "{name} has shape .*: no trajectories"),
        ("text", "{name}.*expected .*real numbers"),
    ],
)
def test_each_fault_of_each_format_is_one_sentence(tmp_path, source, fault, words):
    path, name = sources(tmp_path)[source], FIELD[source]
    fields = ("vorticity",) if source != "pdebench" else ("velocity_x",)
    missing = {
        "pdebench": "no dataset of the field 'velocity_x' that data.fields names, expected",
        "well": "no dataset of the field 'vorticity' that data.fields names, expected",
        "npz": "has the arrays viscosity, expected trajectories",
    }[source]

    def spoil(values):
        values = values.copy()
        values[1, 3, ..., 2, 1] = np.nan
        values[2, 0, ..., 0, 0] = np.inf
        return values

    if fault == "missing" and source == "npz":
        np.savez(path, viscosity=np.ones(3))
    elif fault == "missing":
        with h5py.File(path, "r+") as file:
            del file[name]
            for other in ("t0_fields/velocity_x",) if source == "well" else ():
                del file[other]
    else:
        change = {
            "rank": lambda values: values[0],
            "nan": spoil,
            "zero": lambda values: values[:0],
            "text": lambda values: np.full(values.shape, b"text"),
        }[fault]
        rewrite(path, name, change)
        if source != "npz" and fault == "zero":
            others = {"pdebench": ("Vy", "density", "pressure")}.get(source, ())
            for other in others:
                rewrite(path, other, change)
    with pytest.raises(InputError, match=words.format(missing=missing, name=name)) as error:
        made(config(source, path, fields), tmp_path / "ind")
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("source", FIELD)
def test_mixed_grids_name_both_files(tmp_path, source):
    path = sources(tmp_path)[source]
    other = path.with_stem("b")
    write = {
        "pdebench": flows.write_pdebench,
        "well": flows.write_well,
        "npz": flows.write_arrays,
    }[source]
    write(other, H=8, W=16, seed=9) if source != "npz" else write(other, H=8, W=16)
    with pytest.raises(
        InputError, match=r"b\.\w+ has a grid of 8 x 16, expected 8 x 12 as in .*a\."
    ):
        made(config(source, path.parent), tmp_path / "ind")


@pytest.mark.parametrize("source", FIELD)
def test_an_absent_scalar_names_file_and_key(tmp_path, source):
    path = sources(tmp_path)[source]
    datasets = {"ind": {}, "ood_low": {"where": "reynolds < 10"}}
    words = r"has no scalar 'reynolds' that data\.datasets\.ood_low\.where names, expected one of"
    with pytest.raises(InputError, match=words) as error:
        made(config(source, path, datasets=datasets), tmp_path / "ind")
    assert str(path) in str(error.value)


@pytest.mark.parametrize("source", FIELD)
def test_an_axis_without_trajectories_names_its_key(tmp_path, source):
    path = sources(tmp_path)[source]
    scalar = {"pdebench": "eta", "well": "viscosity", "npz": "viscosity"}[source]
    datasets = {"ind": {}, "ood_low": {"where": f"{scalar} < 0"}}
    with pytest.raises(InputError, match=r"data\.datasets\.ood_low has no trajectory of"):
        made(config(source, path, datasets=datasets), tmp_path / "ind")


@pytest.mark.parametrize(
    ("viscosity", "expected"),
    [
        ([0.01, 0.02, np.nan, 0.04], "has viscosity that is not finite in trajectory 2, expected"),
        ([0.01, 0.02, 0.03], r"viscosity is float64 of shape \(3,\), expected 4 numbers or one"),
        (None, "has no 'viscosity' that data.conditioning names, expected one of none"),
    ],
)
def test_conditioning_that_cannot_be_used_names_the_user_s_file(tmp_path, viscosity, expected):
    path = sources(tmp_path)["npz"]
    content = dict(np.load(path)) | {"viscosity": np.array(viscosity)}
    assert len(content["trajectories"]) == 4
    np.savez(path, **{name: of for name, of in content.items() if of.dtype != object})
    with pytest.raises(InputError, match=expected) as error:
        made(config("npz", path, conditioning=["viscosity"]), tmp_path / "ind")
    assert str(path) in str(error.value)


@pytest.mark.parametrize("source", ["pdebench", "well"])
def test_a_filter_that_is_not_installed_is_named(tmp_path, source):
    path, name = sources(tmp_path)[source], FIELD[source]
    with h5py.File(path, "r+") as file:
        values, attributes = file[name][...], dict(file[name].attrs)
        del file[name]
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((1, 1, *values.shape[2:]))
        creation.set_filter(32099, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple(values.shape)
        h5py.h5d.create(file.id, name.encode(), h5py.h5t.NATIVE_FLOAT, space, creation)
        file[name].attrs.update(attributes)
    words = rf"{name} is compressed with filter 32099 .*not installed"
    with pytest.raises(InputError, match=words) as error:
        made(config(source, path), tmp_path / "ind")
    assert str(path) in str(error.value)


def test_an_archive_that_would_unpickle_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    for arrays in (
        {"trajectories": np.array([{"a": 1}], dtype=object)},
        {"trajectories": np.ones((3, 2, 1, 4, 4)), "about": np.array([{"a": 1}], dtype=object)},
    ):
        np.savez(path, **arrays)
        name = "about" if "about" in arrays else "trajectories"
        with pytest.raises(
            InputError, match=rf"a\.npz: {name} holds Python objects, expected numbers"
        ):
            made(config("npz", path), tmp_path / "ind" / name)


def test_a_wrong_number_of_channels_names_the_fields(tmp_path):
    path = flows.write_arrays(tmp_path / "a.npz")
    words = r"a\.npz: trajectories has 1 channels, expected 2, .*data\.fields \(u, v\)"
    with pytest.raises(InputError, match=words):
        made(config("npz", path, ("u", "v")), tmp_path / "ind")


def test_a_root_that_has_vanished_is_named(tmp_path):
    with pytest.raises(
        InputError, match=r"data\.root is '.*gone\.hdf5', expected a file or folder"
    ):
        made(config("well", tmp_path / "gone.hdf5"), tmp_path / "ind")
    with pytest.raises(InputError, match="holds no \\*\\.hdf5 or \\*\\.h5"):
        made(config("well", tmp_path), tmp_path / "ind2")


def test_a_linked_file_that_vanished_or_changed_is_named(tmp_path):
    path = flows.write_well(tmp_path / "a.hdf5")
    made(config("well", path), tmp_path / "ind")
    path.rename(tmp_path / "b.hdf5")
    with pytest.raises(InputError, match=r"a\.hdf5 has vanished, expected the file of sha256"):
        Split(tmp_path / "ind/data/train", ["vorticity"])
    shutil.copy(tmp_path / "b.hdf5", path)
    with path.open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(InputError, match=r"a\.hdf5 was changed: it has"):
        Split(tmp_path / "ind/data/train", ["vorticity"])


@pytest.mark.parametrize("source", ["pdebench", "incompressible", "well", "npz", "compressed"])
def test_a_file_cut_off_anywhere_is_one_sentence(tmp_path, source):
    """Fifty places in each format, spread over the whole file and drawn with a seed."""
    kinds = sources(tmp_path)
    kinds["incompressible"] = flows.write_incompressible(tmp_path / "ns.hdf5", H=8, W=8)
    with np.load(kinds["npz"]) as archive:
        np.savez_compressed(tmp_path / "c.npz", **dict(archive))
    kinds["compressed"] = tmp_path / "c.npz"
    path = kinds[source]
    whole = path.read_bytes()
    kind = {"incompressible": "pdebench", "compressed": "npz"}.get(source, source)
    data = config(kind, path)
    for number, cut in enumerate(np.random.default_rng(0).integers(len(whole), size=50)):
        path.write_bytes(whole[: int(cut)])
        with pytest.raises(InputError) as error:
            made(data, tmp_path / "cut" / str(number))
        assert str(path) in str(error.value), cut
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_flipped_bit_in_an_archive_is_found(tmp_path, compressed):
    path = flows.write_arrays(tmp_path / "a.npz", n=3)
    if compressed:
        with np.load(path) as archive:
            arrays = dict(archive)
        np.savez_compressed(path, **arrays)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.npz is not a whole npz archive"):
        made(config("npz", path), tmp_path / "ind")


# Reading for training.


@pytest.mark.parametrize("kind", ["contiguous", "chunked", "vector"])
def test_streamed_batches_are_those_in_memory(tmp_path, kind):
    fields = ["velocity_x", "vorticity"] if kind != "vector" else ["flow_y"]
    path = flows.write_well(tmp_path / "a.hdf5", 5, H=8, W=12)
    if kind == "chunked":
        with h5py.File(path, "r+") as file:
            values = file["t0_fields/vorticity"][...].astype(">f8")
            del file["t0_fields/vorticity"]
            file["t0_fields"].create_dataset(
                "vorticity", data=values, chunks=(1, 4, 8, 12), compression="gzip"
            )
    if kind == "vector":
        with h5py.File(path, "r+") as file:
            file["t1_fields/flow"] = np.random.default_rng(0).random((5, 9, 8, 12, 2))
    split = Split(tmp_path, fields)
    moments = {"mean": [0.5, -1.0][: len(fields)], "std": [2.0, 3.0][: len(fields)]}
    form, device = Form(3, 4, (7, 1)), torch.device("cpu")
    memory, streamed = (open_windows(split, moments, form, device, size) for size in (1 << 30, 0))
    assert isinstance(memory, Windows)
    assert isinstance(streamed, Prefetched)
    for number in [*range(12), 3, 20, 4]:
        assert torch.equal(memory.batch(number), streamed.batch(number))
    frames = torch.from_numpy(split.read())
    expected = (frames - torch.tensor(moments["mean"]).reshape(-1, 1, 1)) / torch.tensor(
        moments["std"]
    ).reshape(-1, 1, 1)
    assert memory.batch(0)[0].shape == (3, len(fields), 8, 12)
    found = (expected.flatten(0, 1).unfold(0, 3, 1).movedim(-1, 1) == memory.batch(0)[0]).flatten(1)
    assert found.all(dim=1).any()


def test_handles_stay_open_and_a_fork_opens_its_own(tmp_path):
    import os

    flows.write_well(tmp_path / "a.hdf5", 3)
    split = Split(tmp_path, ["vorticity"])
    truth = split.read()
    (opened,) = split._readers.values()
    assert np.array_equal(split.read(1, 2), truth[1:2])
    assert list(split._readers.values()) == [opened]
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(split.read(), truth) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_settings_that_cannot_be_used():
    for change, sentence in (
        ({"fields": []}, "fields is [], expected at least one name, none twice"),
        (
            {"fractions": {"train": 1.0}},
            "fractions is {'train': 1.0}, expected one for each of train, valid, test",
        ),
        ({"boundary": ["periodic"]}, "boundary is ['periodic'], expected a list of 2"),
        (
            {"boundary": ["periodic", "wall"]},
            "boundary[1] is 'wall', expected one of periodic, open",
        ),
        ({"extent": [1.0, 0.0]}, "extent is [1.0, 0.0], expected two lengths that are not 0"),
        (
            {"source": "netcdf"},
            "source is 'netcdf', expected one of generated, well, pdebench, pdearena, fno, npz",
        ),
    ):
        with pytest.raises(InputError) as caught:
            config(**({"source": "well", "root": "x"} | change))
        assert str(caught.value) == f"data.{sentence}"
    assert isinstance(config("well", "x"), ImportedData)
    assert config("well", "x").datasets == {"ind": Selection()}
