"""The gate before training: two networks are compared only at equal size.

    gap = (size - size_baseline) / size_baseline

for parameters and for MACs, both within the tolerance; and not between one network and itself,
whose parity would prove nothing.
"""

from collections.abc import Mapping

from torch import nn

from chimera.interface.errors import InputError
from chimera.models.parity.counting import count, count_torchinfo
from chimera.models.parity.graph import is_same_graph
from chimera.models.parity.width_search import Solution, solve_widths

__all__ = [
    "Solution",
    "count",
    "count_torchinfo",
    "gaps",
    "is_same_graph",
    "require_distinct",
    "require_parity",
    "solve_widths",
]

Size = tuple[int, int]


def gaps(sizes: Mapping[str, Size], baseline: str) -> dict[str, tuple[float, float]]:
    """Signed gaps of every other model to the baseline.

    Args:
        sizes: (parameters, MACs) of each model, by its name.
        baseline: name of the baseline among them.

    Returns:
        (params_gap, macs_gap) of each model but the baseline.

    Raises:
        InputError: the baseline is not among the models.

    """
    if baseline not in sizes:
        raise InputError(f"'baseline' is {baseline!r}, expected one of {', '.join(sizes)}.")
    params, macs = sizes[baseline]
    return {
        name: (size[0] / params - 1, size[1] / macs - 1)
        for name, size in sizes.items()
        if name != baseline
    }


def require_parity(sizes: Mapping[str, Size], baseline: str, tolerance: float) -> None:
    """Refuse models whose size differs from the baseline's by more than the tolerance.

    Args:
        sizes: (parameters, MACs) of each model, by its name.
        baseline: name of the baseline among them.
        tolerance: largest relative gap allowed, such as 0.05.

    Raises:
        InputError: a gap is too large, or the tolerance or the baseline cannot be used.

    """
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not tolerance >= 0:
        raise InputError(f"'parity.tolerance' is {tolerance!r}, expected a number of 0 or more.")
    for name, (params_gap, macs_gap) in gaps(sizes, baseline).items():
        if max(abs(params_gap), abs(macs_gap)) > tolerance:
            raise InputError(
                f"model {name!r} is {params_gap:+.1%} in parameters and {macs_gap:+.1%} in MACs of "
                f"{baseline!r}, expected both within {tolerance:.1%}: `make solve_widths` lists "
                f"channels that are."
            )


def require_distinct(models: Mapping[str, nn.Module], input_shape: tuple[int, int, int]) -> None:
    """Refuse two models that are one graph.

    Args:
        models: the networks, by name.
        input_shape: shape (C, H, W) of one sample.

    Raises:
        InputError: two models compute the same expression of their input and parameters.

    """
    names = list(models)
    for index, first in enumerate(names):
        for second in names[index + 1 :]:
            if is_same_graph(models[first], models[second], input_shape):
                raise InputError(
                    f"models {first!r} and {second!r} are the same graph, expected two different "
                    f"networks: parity of a network with itself proves nothing."
                )
