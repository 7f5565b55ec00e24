"""A forecast to watch: rows of maps, each on one colour scale, frame by frame, as animated WebP."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from chimera.figures import style
from chimera.files.artifacts import whole_file

_MILLISECONDS = 200  # a frame
# Quality and spacing of the frames, one after the other until the file is small enough.
_COMPRESSION = ((90, 1), (60, 1), (30, 1), (10, 1), (30, 2), (10, 2), (10, 4))


def animate(
    path: Path,
    rows: Mapping[str, Mapping[str, NDArray[np.floating]]],
    titles: Sequence[str],
    quantity: str,
    *,
    side: float = 2.1,
    columns: int | None = None,
    largest: int = 2_000_000,
    still: Path | None = None,
) -> None:
    """Write rows of maps (T, H, W), x along H, as an endless loop with a title for each frame.

    A shorter one goes blank after its last frame. What is not finite is blank, and a row's scale
    ends at twice its first map's largest value: a forecast that diverges does not take it.

    Args:
        path: File to write, of at most `largest` bytes: it is compressed as far as that takes.
        rows: The same names in each, the truth first.
        titles: One a frame.
        quantity: What the colours show.
        side: Of a map, in inches of 100 pixels.
        columns: Maps in a line, all unless given; what is left stands right in a second line.
        largest: Bytes.
        still: Write the frame in the middle here, too.
    """
    names = list(next(iter(rows.values())))
    columns = columns or len(names)
    lines = -(-len(names) // columns)
    size = (0.6 + side * columns, 0.5 + side * lines * len(rows))
    figure = Figure(figsize=size, dpi=100)
    canvas = FigureCanvasAgg(figure)
    grid = figure.subplots(lines * len(rows), columns, squeeze=False).reshape(len(rows), -1)
    drawn, small = [], 9 if side > 1 else 7
    for (label, maps), places in zip(rows.items(), grid, strict=True):
        gap = range(columns, columns + len(places) - len(names))  # below the first of the row
        for panel in places:
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
        panels, limit = np.delete(places, gap), _limit(maps.values())
        blank = np.full_like(maps[names[0]][0].T, np.nan)
        look = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, "interpolation": "antialiased"}
        for panel, (name, frames) in zip(panels, maps.items(), strict=True):
            image = panel.imshow(blank, origin="lower", animated=True, **look)
            drawn.append((panel, image, frames, blank))
            if maps is next(iter(rows.values())):
                panel.set_title(name, fontsize=small)
        panels[0].set_ylabel(label, fontsize=small)
        bar = figure.colorbar(image, ax=list(places), fraction=0.02, pad=0.01)
        bar.set_label(quantity, fontsize=small)
        bar.ax.tick_params(labelsize=small)
    heading = figure.suptitle(titles[0], fontsize=8.5, color=style.GREY, animated=True)
    canvas.draw()
    unmoved, pictures = canvas.copy_from_bbox(figure.bbox), []
    for number, title in enumerate(titles):
        canvas.restore_region(unmoved)
        for panel, image, frames, blank in drawn:
            image.set_data(frames[number].T if number < len(frames) else blank)
            panel.draw_artist(image)
        heading.set_text(title)
        figure.draw_artist(heading)
        pictures.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))
    with whole_file(path) as temporary:
        for quality, spacing in _COMPRESSION:
            first, *others = pictures[::spacing]
            options = {"quality": quality, "duration": _MILLISECONDS * spacing, "method": 4}
            first.save(temporary, "webp", save_all=True, append_images=others, loop=0, **options)
            if temporary.stat().st_size <= largest:
                break
    if still is not None:
        with whole_file(still) as temporary:
            pictures[len(pictures) // 2].save(temporary, "webp", quality=quality, method=4)


def _limit(maps: Iterable[NDArray[np.floating]]) -> float:
    """Return where the colours of a row end."""
    ends = [float(np.abs(m[np.isfinite(m)]).max(initial=0.0)) for m in maps]
    return min(max(ends), 2 * ends[0]) or max(ends) or 1.0
