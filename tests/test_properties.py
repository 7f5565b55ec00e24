"""Properties of what is read and written, over settings, splits, manifests, layouts and widths."""

import math
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays_of

from chimera.data.checksums import format_entries, read_entries
from chimera.data.layout.links import Link, format_links, read_links
from chimera.data.layout.recordings import Layout, Recording
from chimera.data.layout.splits import Split
from chimera.data.settings import SPLITS, ImportedData, Selection
from chimera.data.sources.selection import members_of
from chimera.data.sources.well_writer import create_trajectories
from chimera.files import artifacts
from chimera.interface.errors import InputError
from chimera.interface.settings import Name, Settings, as_plain, read_settings
from chimera.training.settings import TrainSettings

PROFILE = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,  # the same examples in every run; a failure prints its own
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
finite = some.floats(allow_nan=False, allow_infinity=False)
text = some.text(max_size=20)
plain = some.recursive(
    some.none() | some.booleans() | some.integers() | finite | text,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
digests = some.text("0123456789abcdef", min_size=64, max_size=64)
names = some.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,20}\Z")


@PROFILE
@given(content=some.dictionaries(text, plain, max_size=5))
def test_what_is_written_is_read_back(tmp_path, content):
    artifacts.write_json(tmp_path / "f.json", content)
    assert artifacts.read_json(tmp_path / "f.json") == content
    artifacts.write_yaml(tmp_path / "f.yaml", content)
    assert artifacts.read_yaml(tmp_path / "f.yaml") == content


@PROFILE
@given(value=plain)
def test_settings_take_a_value_as_it_is_or_name_its_key(value):
    section = dict.fromkeys(TrainSettings.__struct_fields__, 1)
    for key in ("steps", "lr", "device", "deterministic"):
        try:
            record = read_settings(section | {key: value}, "train", TrainSettings)
        except InputError as error:
            sentence = str(error)
        else:
            sentence = "train."
            assert as_plain(record)[key] == value
        assert re.match(r"train\.[^\n]*\Z", sentence)


class Named(Settings, frozen=True):
    """Names as keys and as values."""

    by_name: dict[Name, int]


@PROFILE
@given(name=names | text)
def test_a_name_is_one_word_for_a_shell_and_one_step_of_a_path(name):
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
    expected = 0 < len(name) <= 100 and set(name) <= allowed and name[0] not in "_.-"
    if expected:
        assert read_settings({"by_name": {name: 1}}, "x", Named).by_name == {name: 1}
    else:
        with pytest.raises(InputError, match=r"x\.by_name has the key"):
            read_settings({"by_name": {name: 1}}, "x", Named)


entries = some.fixed_dictionaries(
    {"sha256": digests | some.none(), "bytes": some.integers(0, 1 << 40)},
    optional={"fingerprint": some.none() | some.dictionaries(text, some.lists(finite), max_size=2)},
)


@PROFILE
@given(by_path=some.dictionaries(names, entries, min_size=1, max_size=4))
def test_manifests_keep_their_entries(tmp_path, by_path):
    listed = [{"path": path, **entry} for path, entry in by_path.items()]
    (tmp_path / "M.yaml").write_text("files:\n" + format_entries(listed))
    assert list(read_entries(tmp_path / "M.yaml").values()) == listed


links = some.builds(
    Link, text, digests, some.integers(0), some.lists(some.integers(0, 99)).map(tuple)
)


@PROFILE
@given(listed=some.lists(links, max_size=4))
def test_links_keep_their_files(tmp_path, listed):
    (tmp_path / "links.yaml").write_text(format_links(listed))
    assert read_links(tmp_path / "links.yaml") == listed


class Counted(Recording):
    """A file of trajectories that nobody reads."""

    where = blocks = None


@PROFILE
@given(
    counts=some.lists(some.integers(1, 6), min_size=1, max_size=4),
    shares=some.tuples(*[some.floats(1e-3, 1e3)] * 3),
    seed=some.integers(0, 1 << 31),
    chosen=some.sets(some.integers(0, 5), max_size=3),
)
def test_every_trajectory_is_in_one_split_of_one_dataset(tmp_path, counts, shares, seed, chosen):
    layout = Layout("npz", (4, 4), 3)
    files = [
        Counted(tmp_path / f"{number}.npz", count, layout, ("a",), {})
        for number, count in enumerate(counts)
    ]
    total = sum(counts)
    chosen = {number for number in chosen if number < total}
    datasets = {"ind": Selection()}
    if chosen:
        datasets["ood"] = Selection(trajectories=tuple(chosen))
    data = ImportedData(
        source="npz",
        root=str(tmp_path),
        seed=seed,
        manifests="",
        shape=(),
        fields=("a",),
        conditioning=(),
        past_frames=1,
        names=tuple(datasets),
        generated=(),
        imported=(),
        boundary=None,
        extent=None,
        frame_interval=None,
        fractions=dict(zip(SPLITS, shares, strict=True)),
        datasets=datasets,
    )
    if total - len(chosen) < 3:
        with pytest.raises(InputError, match=r"data\.datasets\.ind has"):
            members_of(files, data)
        return
    found = members_of(files, data)
    assert set(found["ind"]) == set(SPLITS)
    assert all(found["ind"].values())
    taken = [
        member for splits in found.values() for members in splits.values() for member in members
    ]
    assert sorted(taken) == [(r, i) for r, count in enumerate(counts) for i in range(count)]
    assert members_of(files, data) == found


fields = arrays_of.arrays(
    np.float32,
    some.tuples(
        *[some.integers(1, 3), some.integers(1, 4), some.integers(1, 6), some.integers(1, 6)]
    ),
    elements=some.floats(-1e6, 1e6, width=32),
)


@PROFILE
@given(values=fields, extent=some.tuples(*[some.floats(0.01, 100)] * 2))
def test_a_layout_of_any_size_gives_back_every_bit(tmp_path, values, extent):
    n, T, H, W = values.shape
    layout = Layout("npz", (H, W), T, extent=extent, frame_interval=0.5)
    path = tmp_path / "a.hdf5"
    with create_trajectories(
        path, ["a"], layout, count=n, dataset_name="x", scalars={"s": np.arange(n) + 0.5}
    ) as file:
        file["t0_fields"]["a"][...] = values
    split = Split(tmp_path, ["a"])
    np.testing.assert_array_equal(split.read()[:, :, 0], values)
    np.testing.assert_array_equal(split.scalars["s"], np.arange(n) + 0.5)
    if min(H, W) > 1:
        assert split.layout.extent is not None
        assert all(
            math.isclose(a, b, rel_tol=1e-5)
            for a, b in zip(split.layout.extent, extent, strict=True)
        )
