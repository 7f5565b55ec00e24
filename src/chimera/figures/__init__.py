"""The study's figures, one file each, drawn from metrics/tables/ and metrics/*.json.

Every replicate is a point or a line. Equal tables give equal bytes. A table without rows gives a
figure that states the reason.
"""

from chimera.figures.dimension import dimension_along_network
from chimera.figures.editing import edit_tradeoff
from chimera.figures.errors import errors_by_axis
from chimera.figures.fields import example_fields, examples, rank_trajectories
from chimera.figures.forest import Comparison, forest
from chimera.figures.information import information_plane
from chimera.figures.parity import parity_bars
from chimera.figures.patching import patching_effects
from chimera.figures.rollout import rollout_curves
from chimera.figures.spectra import energy_spectra
from chimera.figures.style import Rows, message, picture
from chimera.figures.training import training_curves

__all__ = [
    "Comparison",
    "Rows",
    "dimension_along_network",
    "edit_tradeoff",
    "energy_spectra",
    "errors_by_axis",
    "example_fields",
    "examples",
    "forest",
    "information_plane",
    "message",
    "parity_bars",
    "patching_effects",
    "picture",
    "rank_trajectories",
    "rollout_curves",
    "training_curves",
]
