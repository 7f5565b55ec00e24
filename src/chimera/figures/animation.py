"""A forecast to watch: maps side by side on one colour scale, frame by frame, as animated WebP."""

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
_LARGEST = 2_000_000  # bytes


def animate(
    path: Path, maps: Mapping[str, NDArray[np.floating]], titles: Sequence[str], quantity: str
) -> None:
    """Write maps (T, H, W), x along H, as an endless loop with a title for each frame.

    A shorter one goes blank after its last frame. Where the sharpest pictures take more than
    2 MB they are compressed more. What is not finite is blank.
    """
    ends = [np.abs(frames[np.isfinite(frames)]).max(initial=0.0) for frames in maps.values()]
    limit = float(max(ends)) or 1.0
    figure = Figure(figsize=(0.6 + 2.1 * len(maps), 2.6), dpi=100)
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(maps), squeeze=False)[0]
    blank = np.full_like(next(iter(maps.values()))[0].T, np.nan)
    look = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, "interpolation": "nearest"}
    drawn = [panel.imshow(blank, origin="lower", **look) for panel in panels]
    for panel, name in zip(panels, maps, strict=True):
        panel.set_title(name)
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
    figure.colorbar(drawn[-1], ax=list(panels), fraction=0.02, pad=0.01).set_label(quantity)
    pictures = []
    for number, title in enumerate(titles):
        for image, frames in zip(drawn, maps.values(), strict=True):
            image.set_data(frames[number].T if number < len(frames) else blank)
        figure.suptitle(title, fontsize=8.5, color=style.GREY)
        canvas.draw()
        pictures.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))
    with whole_file(path) as temporary:
        for quality in (90, 60, 30, 10):
            options = {"save_all": True, "append_images": pictures[1:], "loop": 0, "method": 4}
            pictures[0].save(temporary, "webp", quality=quality, duration=_MILLISECONDS, **options)
            if temporary.stat().st_size <= _LARGEST:
                break
