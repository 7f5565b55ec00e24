"""An animation has a picture a frame, one colour scale, and a bounded size."""

import matplotlib as mpl
import numpy as np
from PIL import Image

from chimera.figures import animate


def pictures(path):
    with Image.open(path) as file:
        found = []
        for number in range(file.n_frames):
            file.seek(number)
            found.append(np.asarray(file.convert("RGB"), dtype=float))
        return found, file.info["loop"]


def maps_of(picture, count):
    """Return the middle of each map: the panels have equal widths, left of the colour scale."""
    _, width, _ = picture.shape
    panel = (width - 60) / count
    return [
        picture[60:-30, int((k + 0.3) * panel) : int((k + 0.7) * panel)].mean(axis=(0, 1))
        for k in range(count)
    ]


def test_frames_follow_and_share_one_colour_scale(tmp_path):
    ones = np.ones((3, 8, 8))
    rising = np.array([0.0, 1.0, 2.0])[:, None, None] * ones
    shown = {"truth": rising, "forecast": -rising, "error": -2 * rising}
    animate(tmp_path / "a.webp", {"": shown}, ["0", "1", "2"], "vorticity")
    found, loop = pictures(tmp_path / "a.webp")
    assert len(found) == 3
    assert loop == 0  # for ever
    for colour in maps_of(found[0], 3):
        assert colour.min() > 240  # zero is white
    truth, forecast, error = maps_of(found[2], 3)
    assert truth[0] > truth[2] + 50  # above zero red, below blue
    assert forecast[2] > forecast[0] + 50
    assert error[2] > error[0] + 30
    assert error.sum() < forecast.sum() - 50  # twice as far from zero is darker: one scale
    middle = maps_of(found[1], 3)
    assert np.abs(middle[2] - forecast).max() < 12  # -2 in the one frame as in the other


def test_an_axis_x_runs_to_the_right(tmp_path):
    field = np.zeros((1, 8, 8))
    field[:, 4:] = 1.0  # the second half along x, the first axis of an array
    animate(tmp_path / "a.webp", {"": {"truth": field}}, ["0"], "u")
    ((picture,), _) = pictures(tmp_path / "a.webp")
    left, right = picture[100:180, 40:90].mean(axis=(0, 1)), picture[100:180, 140:180].mean((0, 1))
    assert left.min() > 240
    assert right[0] > right[2] + 50


def test_what_ends_sooner_goes_blank(tmp_path):
    shown = {"truth": np.ones((1, 8, 8)), "forecast": np.ones((2, 8, 8))}
    animate(tmp_path / "a.webp", {"": shown}, ["0", "1"], "u")
    (first, second), _ = pictures(tmp_path / "a.webp")
    truth, forecast = maps_of(first, 2)
    np.testing.assert_allclose(truth, forecast, atol=3)
    gone, stays = maps_of(second, 2)
    assert gone.min() > 240
    np.testing.assert_allclose(stays, forecast, atol=3)


def test_more_than_the_bytes_allowed_is_compressed_more(tmp_path):
    noise = np.random.default_rng(0).standard_normal((3, 6, 64, 64))
    shown = dict(zip(("truth", "forecast", "error"), noise, strict=True))
    sizes = []
    for largest in (10**6, 10**5):
        animate(tmp_path / "a.webp", {"": shown}, list("012345"), "u", largest=largest)
        sizes.append((tmp_path / "a.webp").stat().st_size)
        assert len(pictures(tmp_path / "a.webp")[0]) == 6
    assert sizes[1] <= 10**5 < sizes[0] <= 10**6


def test_a_file_of_fewer_frames_ends_with_the_last(tmp_path):
    """The field grows by a frame, so that a map's strongest colour says which it is."""
    rising = np.arange(1.0, 7.0)[:, None, None] * np.ones((6, 8, 8))
    animate(tmp_path / "a.webp", {"": {"truth": rising}}, list("012345"), "u", largest=1)
    found, _ = pictures(tmp_path / "a.webp")
    assert len(found) == 2, "every fourth"
    animate(tmp_path / "b.webp", {"": {"truth": rising}}, list("012345"), "u")
    every, _ = pictures(tmp_path / "b.webp")
    for picture, number in zip(found, (1, 5), strict=True):
        shown, whole = (maps_of(of, 1)[0] for of in (picture, every[number]))
        np.testing.assert_allclose(shown, whole, atol=12)
    assert abs(maps_of(every[1], 1)[0] - maps_of(every[0], 1)[0]).max() > 12


def test_a_forecast_that_diverges_leaves_the_rest_to_be_seen(tmp_path):
    wild = np.stack([np.ones((8, 8)), np.full((8, 8), np.nan), np.full((8, 8), np.inf)])
    shown = {"truth": np.ones((3, 8, 8)), "forecast": wild}
    animate(tmp_path / "a.webp", {"": shown}, list("012"), "u")
    found, _ = pictures(tmp_path / "a.webp")
    (first, also), (truth, gone) = maps_of(found[0], 2), maps_of(found[1], 2)
    np.testing.assert_allclose(first, also, atol=3)
    np.testing.assert_allclose(truth, first, atol=3)  # the scale is that of what is finite
    assert gone.min() > 240
    assert maps_of(found[2], 2)[1].min() > 240  # infinite, too
    animate(tmp_path / "b.webp", {"": {"truth": np.zeros((1, 8, 8))}}, ["0"], "u")
    ((rest,), _) = pictures(tmp_path / "b.webp")
    assert maps_of(rest, 1)[0].min() > 240


def test_a_map_of_the_first_frame_is_the_array_in_colours(tmp_path):
    """Four quarters of known values: the scale ends at 2, so that v has the colour (v + 2) / 4."""
    quarters = np.array([[0.5, -1.0], [2.0, -2.0]])
    field = np.kron(quarters, np.ones((16, 16)))[None]
    animate(tmp_path / "a.webp", {"": {"truth": field}}, ["0"], "u", still=tmp_path / "s.webp")
    with Image.open(tmp_path / "s.webp") as file:
        still = np.asarray(file.convert("RGB"), dtype=float)
    for picture in (pictures(tmp_path / "a.webp")[0][0], still):
        inside = np.argwhere(picture.min(axis=2) < 200)  # what is coloured, the scale at the right
        top, left = inside[inside[:, 1] < 200].min(axis=0)
        bottom, right = inside[inside[:, 1] < 200].max(axis=0)
        for i, j in np.ndindex(2, 2):
            x = int(left + (right - left) * (0.25 + 0.5 * i))
            y = int(bottom - (bottom - top) * (0.25 + 0.5 * j))
            found = picture[y - 5 : y + 5, x - 5 : x + 5].mean(axis=(0, 1))
            expected = 255 * np.array(mpl.colormaps["RdBu_r"]((quarters[i, j] + 2) / 4)[:3])
            np.testing.assert_allclose(found, expected, atol=8)


def test_rows_have_scales_of_their_own(tmp_path):
    """A row a hundred times as large looks the same."""
    ones = np.ones((1, 16, 16))
    rows = {
        name: {"a": scale * ones, "b": -scale * ones, "c": 0 * ones}
        for name, scale in (("small", 1.0), ("large", 100.0))
    }
    animate(tmp_path / "a.webp", rows, ["0"], "u")
    ((picture,), _) = pictures(tmp_path / "a.webp")
    height, width, _ = picture.shape
    panel, line = (width - 60) / 3, (height - 50) / 2

    def colour(row, column):
        y, x = int(50 + (row + 0.5) * line), int((column + 0.5) * panel)
        return picture[y - 10 : y + 10, x - 10 : x + 10].mean(axis=(0, 1))

    for column in range(3):
        np.testing.assert_allclose(colour(0, column), colour(1, column), atol=5)
    assert colour(0, 0)[0] > colour(0, 0)[2] + 50
    assert colour(0, 1)[2] > colour(0, 1)[0] + 50
    assert colour(0, 2).min() > 240


def test_a_forecast_that_grows_does_not_take_the_scale(tmp_path):
    """The scale ends at twice the truth: the truth of 1 has the same colour beside 2 and 10^30."""
    ones = np.ones((1, 16, 16))
    seen = []
    for end in (2.0, 1e30):
        animate(tmp_path / "a.webp", {"": {"truth": ones, "forecast": end * ones}}, ["0"], "u")
        ((picture,), _) = pictures(tmp_path / "a.webp")
        seen.append(maps_of(picture, 2))
    np.testing.assert_allclose(seen[0], seen[1], atol=3)
