"""Draw the figures of plots/*.csv: a PNG each for git and a vector SVG each for print."""

import io
from pathlib import Path

from chimera.artifacts import read_csv, read_params, read_yaml, write_bytes
from chimera.figures import errors_by_axis, rollout_curves, training_curves
from chimera.stages import guarded


def figures() -> None:
    """Run the stage."""
    params = read_params()
    models = params["model_names"]
    layout = read_yaml(Path("metrics/gates/generate") / params["datasets"][0] / "layout.yaml")
    interval = layout["frame_interval"] or 1.0
    drawn = {
        "fig1_errors": errors_by_axis(read_csv(Path("plots/errors.csv")), models),
        "training": training_curves(read_csv(Path("plots/training.csv")), models),
        "rollout": rollout_curves(read_csv(Path("plots/rollout.csv")), models, interval),
    }
    for name, figure in drawn.items():
        # Names of programs and dates would make equal figures differ in bytes.
        for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            stream = io.BytesIO()
            figure.savefig(stream, format=suffix, dpi=120, metadata=metadata)
            write_bytes(Path("plots") / f"{name}.{suffix}", stream.getvalue())


if __name__ == "__main__":
    guarded(figures)
