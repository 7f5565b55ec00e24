"""The study's figures, one file each, drawn from metrics/tables/ and metrics/*.json.

Every replicate is a point or a line of its own. Equal tables give equal bytes. A table without rows
gives a figure that says why.
"""

from chimera.figures.dimension import dimension_along_network
from chimera.figures.editing import edit_tradeoff
from chimera.figures.errors import errors_by_axis
from chimera.figures.fields import Example, example_fields, examples, mean_errors, rank_trajectories
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
    "Example",
    "Rows",
    "dimension_along_network",
    "edit_tradeoff",
    "energy_spectra",
    "errors_by_axis",
    "example_fields",
    "examples",
    "forest",
    "information_plane",
    "mean_errors",
    "message",
    "parity_bars",
    "patching_effects",
    "picture",
    "rank_trajectories",
    "rollout_curves",
    "training_curves",
]
