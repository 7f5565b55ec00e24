"""The gate before training: only different networks of equal size are compared.

    gap = (size - size_baseline) / size_baseline

for parameters and for MACs, both within the tolerance; all of a network takes part in its output.
"""

from collections.abc import Mapping
from itertools import combinations

from torch import nn

from chimera.interface.errors import InputError
from chimera.models.parity.graph import is_same_graph
from chimera.models.parity.liveness import Liveness

Size = tuple[int, int]  # parameters and MACs

# Largest share of the parameters that may be dead: of a spectral weight that multiplies the mean of
# a field, for one, the imaginary part is.
MAX_DEAD = 0.01


def gaps(sizes: Mapping[str, Size], baseline: str) -> dict[str, tuple[float, float]]:
    """Return the signed gaps (parameters, MACs) of every other model to the baseline."""
    if baseline not in sizes:
        raise InputError(f"'baseline' is {baseline!r}, expected one of {', '.join(sizes)}")
    params, macs = sizes[baseline]
    return {n: (p / params - 1, m / macs - 1) for n, (p, m) in sizes.items() if n != baseline}


def require_parity(sizes: Mapping[str, Size], baseline: str, tolerance: float) -> None:
    """Raise InputError if a relative gap to the baseline exceeds the tolerance, such as 0.05."""
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not tolerance >= 0:
        raise InputError(f"'parity.tolerance' is {tolerance!r}, expected a number of 0 or more")
    for name, (params_gap, macs_gap) in gaps(sizes, baseline).items():
        if max(abs(params_gap), abs(macs_gap)) > tolerance:
            raise InputError(
                f"model {name!r} is {params_gap:+.1%} in parameters and {macs_gap:+.1%} in MACs of "
                f"{baseline!r}, expected both within {tolerance:.1%}: `make solve_widths` lists "
                f"settings that are"
            )


def dead_parts(found: Liveness) -> str:
    """Return what of a network decides nothing, for messages; empty if all of it is live."""
    modules = {name.rpartition(".")[0] or name for name in found.dead_params}
    parts = []
    if modules:
        dead, total = sum(found.dead_params.values()), found.params
        share = dead / (total + dead)
        parts.append(f"{dead:,} ({share:.2%}) of its parameters, in {', '.join(sorted(modules))}")
    if found.dead_operations:
        parts.append(f"counted operations in {', '.join(found.dead_operations)}")
    return " and ".join(parts)


def require_live(name: str, found: Liveness) -> None:
    """Raise InputError if a counted operation, or more than 1% of the parameters, is dead."""
    dead = sum(found.dead_params.values())
    if found.dead_operations or dead > MAX_DEAD * (dead + found.params):
        raise InputError(
            f"model {name!r} has parts that do not change its output, expected none beyond "
            f"{MAX_DEAD:.0%} of its parameters: {dead_parts(found)}"
        )


def require_distinct(models: Mapping[str, nn.Module], input_shape: tuple[int, int, int]) -> None:
    """Raise InputError if two models are the same graph."""
    for first, second in combinations(models, 2):
        if is_same_graph(models[first], models[second], input_shape):
            raise InputError(
                f"models {first!r} and {second!r} are the same graph, expected two different "
                f"networks: parity of a network with itself proves nothing"
            )
