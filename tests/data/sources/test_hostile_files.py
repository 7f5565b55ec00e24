"""Files that reach out of themselves, or declare what they do not hold, are one sentence."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from test_importing import FIELD, config, made, sources

import flows
from chimera.data.layout.leakage import read_frames
from chimera.data.layout.well import open_well
from chimera.data.sources.importing import channel_blocks, open_any
from chimera.files.arrays import write_arrays
from chimera.files.streams import Stream
from chimera.interface.errors import InputError

HDF5 = ["pdebench", "well"]


def by_external_link(file, name, elsewhere):
    del file[name]
    file[name] = h5py.ExternalLink(elsewhere, name)


def by_external_storage(file, name, elsewhere):
    shape = file[name].shape
    del file[name]
    stored = [(elsewhere, 0, h5py.h5f.UNLIMITED)]
    file.create_dataset(name, shape, np.float32, external=stored)


def by_virtual_dataset(file, name, elsewhere):
    shape = file[name].shape
    del file[name]
    layout = h5py.VirtualLayout(shape, np.float32)
    layout[...] = h5py.VirtualSource(elsewhere, name, shape)
    file.create_virtual_dataset(name, layout)


@pytest.mark.parametrize("source", HDF5)
@pytest.mark.parametrize("reach", [by_external_link, by_external_storage, by_virtual_dataset])
def test_a_file_that_reaches_into_another_is_refused(tmp_path, source, reach):
    path, name = sources(tmp_path)[source], FIELD[source]
    elsewhere = sources(tmp_path / "elsewhere")[source]
    with h5py.File(path, "r+") as file:
        attributes = dict(file[name].attrs)
        reach(file, name, str(elsewhere))
        if reach is not by_external_link:
            file[name].attrs.update(attributes)
    with pytest.raises(InputError, match=rf"{path.name}: {name} is in (another|other) file"):
        made(config(source, path), tmp_path / "ind")


@pytest.mark.parametrize("source", HDF5)
@pytest.mark.parametrize("chunks", [None, (1, 1, 8, 12)])
def test_a_shape_that_the_file_does_not_hold_is_refused(tmp_path, source, chunks):
    path, name = sources(tmp_path)[source], FIELD[source]
    with h5py.File(path, "r+") as file:
        attributes = dict(file[name].attrs)
        del file[name]  # nothing is written: a terabyte that takes some bytes
        file.create_dataset(name, (4, 1 << 31, 8, 12), np.float32, chunks=chunks)
        file[name].attrs.update(attributes)
    with pytest.raises(
        InputError, match=rf"{name} has shape \(4, 2147483648, 8, 12\), expected values"
    ):
        made(config(source, path), tmp_path / "ind")


def npy(shape, values):
    """Return a member of an archive whose header declares a shape."""
    stream = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + values.astype("<f4").tobytes()


@pytest.mark.parametrize("shape", [(1 << 40, 9, 1, 8, 8), (3, 9, 1, 8, 1 << 40), (-3, -9, 1, 8, 8)])
def test_an_archive_that_declares_more_than_it_holds_is_refused(tmp_path, shape):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("trajectories.npy", npy(shape, np.ones((3, 9, 1, 8, 8))))
    with pytest.raises(
        InputError, match=r"a\.npz: trajectories has shape .*that the file holds|values"
    ):
        made(config("npz", path), tmp_path / "ind")


def test_an_encrypted_archive_is_refused(tmp_path):
    path = sources(tmp_path)["npz"]
    content = path.read_bytes()
    # Bit 0 of the flags, in the header of each member and in the directory (APPNOTE 4.3.7, 4.3.12).
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        parts = content.split(mark)
        flag = place - len(mark)
        parts[1:] = [p[:flag] + bytes([p[flag] | 1]) + p[flag + 1 :] for p in parts[1:]]
        content = mark.join(parts)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.npz is not a whole npz archive: .*encrypted"):
        made(config("npz", path), tmp_path / "ind")


@pytest.mark.parametrize("source", [*HDF5, "npz"])
def test_a_link_out_of_the_root_is_refused_unless_allowed(tmp_path, source):
    path = sources(tmp_path / "elsewhere")[source]
    root = tmp_path / "root"
    root.mkdir()
    link = root / path.name
    link.symlink_to(path)
    with pytest.raises(InputError, match=rf"{link} is a link to {path}, expected .*data\.outside"):
        made(config(source, root), tmp_path / "ind")
    made(config(source, root, outside=True), tmp_path / "allowed")
    made(config(source, path), tmp_path / "alone")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / f"stored{path.suffix}").symlink_to("../elsewhere")  # a folder: not followed
    path.rename(inner / f"b{path.suffix}")
    made(config(source, inner), tmp_path / "inside")


FULL = """
import resource, signal, sys
from pathlib import Path
from chimera.files.artifacts import whole_folder
from chimera.interface.errors import guarded
sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]).parents[1])]
from test_importing import config, made
from chimera.data.sources.importing import import_dataset
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]),) * 2)
def main():
    with whole_folder(Path(sys.argv[3])) as folder:
        import_dataset("ind", config("npz", sys.argv[2]), folder)
guarded(main)
"""


@pytest.mark.parametrize("limit", [0, 100, 2500, 5000])
def test_a_disk_that_is_full_at_any_byte_is_one_sentence(tmp_path, limit):
    path, here = sources(tmp_path)["npz"], __file__.rpartition("/")[0]
    command = [sys.executable, "-c", FULL, here, str(path), str(tmp_path / "ind"), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    errors = [line for line in done.stderr.splitlines() if "error" in line]
    assert errors == [f"error: cannot write {tmp_path}/ind: File too large; it was not changed"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cfd", "npz", "well"]


def test_a_stream_keeps_its_first_fault_until_it_is_closed(tmp_path):
    with h5py.File(tmp_path / "plain", "w") as file:
        file["a"] = np.arange(1000.0)
    stream = Stream(tmp_path / "stream")
    with h5py.File(stream, "w") as file:
        file["a"] = np.arange(1000.0)
    stream.close()
    with h5py.File(tmp_path / "stream") as file:
        assert file["a"][...].tolist() == list(range(1000))
    full = Stream(Path("/dev/full"))
    assert full.write(b"abc") == 3
    assert full.write(b"abc") == 3
    with pytest.raises(OSError, match="No space left"):
        full.close()
    assert full.closed


def precise(root, source, change):
    """Write the vorticity in float64, changed by a function."""
    values = change(flows.flow(n=8)[2].astype(np.float64))
    if source == "npz":
        np.savez(root / "a.npz", trajectories=values[:, :, None])
        return root / "a.npz"
    if source == "pairs":
        np.savez(root / "a.npz", x=values[0, :1], y=values[0, 1:2])
        return root / "a.npz"
    path = flows.write_well(root / "a.hdf5", n=8)
    with h5py.File(path, "r+") as file:
        attributes = dict(file[FIELD["well"]].attrs)
        del file[FIELD["well"]]
        file[FIELD["well"]] = values
        file[FIELD["well"]].attrs.update(attributes)
    return path


def blocks(path):
    return [
        block for *_, block in channel_blocks(open_any(path, ["vorticity"]), [0], ["vorticity"])
    ]


@pytest.mark.parametrize("source", ["npz", "pairs", "well"])
def test_a_field_that_float32_loses_is_refused(tmp_path, source):
    path = precise(tmp_path, source, lambda w: 1e5 + 1e-3 * w)
    words = (
        rf"{path.name} has vorticity 100000 with a standard deviation of 0\.0\d+, of which "
        r"float32 keeps little, expected at least 0\.78: subtract a constant from it"
    )
    with pytest.raises(InputError, match=words):
        blocks(path)
    if source != "pairs":
        with pytest.raises(InputError, match=words):
            made(config("npz" if source == "npz" else "well", path), tmp_path / "ind")


@pytest.mark.parametrize("source", ["npz", "pairs", "well"])
def test_a_value_beyond_float32_is_named(tmp_path, source):
    def change(w):
        w[0, 1, 2, 3] = -1e39
        return w

    path = precise(tmp_path, source, change)
    with pytest.raises(
        InputError,
        match=rf"{path.name} has vorticity -1e\+39 in trajectory 0, frame 1, beyond float32, "
        r"expected at most 3\.40282e\+38",
    ):
        blocks(path)


@pytest.mark.parametrize("source", ["npz", "pairs", "well"])
@pytest.mark.parametrize(
    "change",
    [
        lambda w: 1e5 + 10 * w,
        lambda w: np.full_like(w, 0.1),
        lambda w: np.where(w == w.max(), np.nan, w),
        lambda w: 1e-30 * w,
        lambda w: (1e9 * w).astype(np.int64),
    ],
)
def test_other_fields_are_read_as_the_nearest_float32(tmp_path, source, change):
    path = precise(tmp_path, source, change)
    values = change(flows.flow(n=8)[2].astype(np.float64))[0, : 2 if source == "pairs" else None]
    found = np.concatenate(blocks(path))[:, 0]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, values.astype(np.float32))


def test_a_name_that_is_not_text_is_refused(tmp_path):
    """HDF5 says which of its names it cannot find, and h5py cannot decode what it says."""
    path = sources(tmp_path)["pdebench"]
    content = path.read_bytes()
    assert b"density\0" in content
    path.write_bytes(content.replace(b"density\0", b"\xffensity\0"))
    with pytest.raises(InputError, match=rf"{path.name} is not a whole HDF5 file: .*0xff"):
        open_any(path, ["vorticity"])


def test_an_attribute_that_the_file_has_lost_is_refused(tmp_path):
    """Text of an attribute lies in a heap, of which only the signature is damaged here."""
    path = sources(tmp_path)["well"]
    content = path.read_bytes()
    assert b"GCOL" in content
    path.write_bytes(content.replace(b"GCOL", b"LOST"))
    with pytest.raises(InputError, match=rf"{path.name} is not a whole HDF5 file: .*heap"):
        open_well(path)


def test_frames_without_their_places_are_refused(tmp_path):
    write_arrays(path := tmp_path / "frames.npz", {"train": np.zeros((2, 3, 2), np.uint64)})
    with pytest.raises(InputError, match=r"frames\.npz has no 'train\.places' among train$"):
        read_frames(path)
