"""The study's figures, one file each, drawn from metrics/tables/ and metrics/*.json.

Every replicate is a point or a line of its own. Equal tables give equal bytes. A table without rows
gives a figure that says why. `models` are the trained models, in order.
"""

from lazy_loader import attach

# The command `forecast` may ask for none, and matplotlib takes most of a second to import.
__getattr__, __dir__, __all__ = attach(
    __name__,
    submod_attrs={
        "animation": ["animate"],
        "cost": ["error_against_cost"],
        "depth": ["quantities_by_depth"],
        "dimension": ["dimension_along_network"],
        "editing": ["edit_tradeoff"],
        "errors": ["errors_by_axis"],
        "fields": ["example_fields", "examples", "ranked_fields"],
        "forest": ["Comparison", "forest_plot"],
        "information": ["information_plane"],
        "parity": ["parity_bars"],
        "patching": ["patching_effects"],
        "rollout": ["rollout_curves"],
        "spectra": ["energy_spectra"],
        "style": ["TABLES", "Rows", "message", "pictures"],
        "training": ["training_curves"],
        "tuning": ["tuning_search"],
        "watching": ["watch_rollouts"],
    },
)
