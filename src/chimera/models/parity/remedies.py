"""What to set so that models pass the gate, in the words of `dvc exp run`."""

from collections.abc import Iterator, Mapping
from typing import Any

from chimera.interface.errors import InputError
from chimera.models.parity.gate import Size, gaps, require_parity
from chimera.models.parity.width_search import Solution, solve_widths


def require_parity_or_remedy(
    settings: Mapping[str, Any], sizes: Mapping[str, Size], baseline: str, tolerance: float
) -> None:
    """Refuse models beyond the tolerance, with what would bring them within it, or why nothing."""
    try:
        require_parity(sizes, baseline, tolerance)
    except InputError as error:
        missed = [n for n, gap in gaps(sizes, baseline).items() if max(map(abs, gap)) > tolerance]
        remedy = "such as"
        try:
            for n in missed:
                found = solve_widths(settings[n], settings[baseline], tolerance, f"models.{n}")
                remedy += f" {overrides(n, found[0])}"
        except InputError as unsolved:
            remedy = f"but {unsolved}"
        raise InputError(f"{error}, {remedy}") from None


def overrides(name: str, solution: Solution) -> str:
    """Return what to add to `dvc exp run`."""
    return " ".join(
        f"-S 'models.{name}.{setting}={value}'".replace(", ", ",")
        for setting, value in solution.settings.items()
    )


def solution_lines(settings: Mapping[str, Any], baseline: str, tolerance: float) -> Iterator[str]:
    """Yield settings at parity of all models but the baseline; then InputError if one has none."""
    failed = []
    for name in filter(lambda name: name != baseline, settings):
        try:
            found = solve_widths(settings[name], settings[baseline], tolerance, f"models.{name}")
        except InputError as error:
            failed.append(str(error))
            continue
        yield f"{name}: {overrides(name, found[0])} is the nearest of"
        for s in found:
            sizes = f"{s.params_gap:+.1%} parameters, {s.macs_gap:+.1%} MACs"
            yield f"  {s.settings}: {sizes}, profile change {s.profile_change:.2f}"
    if failed:
        raise InputError("; ".join(failed))
