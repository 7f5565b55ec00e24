"""A forecast to watch: rows of maps, each on one colour scale, frame by frame, as animated WebP."""

from collections.abc import Mapping, Sequence
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
    largest: int = 2_000_000,
    still: Path | None = None,
) -> None:
    """Write rows of maps (T, H, W), x along H, as an endless loop with a title for each frame.

    A shorter one goes blank after its last frame. What is not finite is blank, and a row's scale
    ends at twice its first map's largest value: a forecast that diverges does not take it. Maps are
    `side` inches of 100 pixels wide. The file is compressed until it has at most `largest` bytes;
    `still` gets the frame in the middle.
    """
    names = list(next(iter(rows.values())))
    figure = Figure((0.6 + side * len(names), 0.5 + side * len(rows)), dpi=100)
    canvas = FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), len(names), squeeze=False)
    drawn, small = [], 9 if side > 1 else 7
    for (label, maps), panels in zip(rows.items(), grid, strict=True):
        blank = np.full_like(maps[names[0]][0].T, np.nan)
        ends = [float(np.abs(m[np.isfinite(m)]).max(initial=0.0)) for m in maps.values()]
        limit = min(max(ends), 2 * ends[0]) or max(ends) or 1.0
        look = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, "interpolation": "antialiased"}
        for panel, (name, frames) in zip(panels, maps.items(), strict=True):
            image = panel.imshow(blank, origin="lower", animated=True, **look)
            drawn.append((panel, image, frames, blank))
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
            if len(drawn) <= len(names):
                panel.set_title(name, fontsize=small)
        panels[0].set_ylabel(label, fontsize=small)
        bar = figure.colorbar(image, ax=list(panels), fraction=0.02, pad=0.01)
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
            first, *others = pictures[(len(pictures) - 1) % spacing :: spacing]  # the last is kept
            options = {"quality": quality, "duration": _MILLISECONDS * spacing, "method": 4}
            first.save(temporary, "webp", save_all=True, append_images=others, loop=0, **options)
            if temporary.stat().st_size <= largest:
                break
    if still is not None:
        with whole_file(still) as temporary:
            pictures[len(pictures) // 2].save(temporary, "webp", quality=quality, method=4)
