"""What to set so that models pass the gate, in the words of `dvc exp run`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chimera.interface.errors import InputError
from chimera.models.forecasting.building import fit_to_data
from chimera.models.parity.gate import gaps, require_parity
from chimera.models.parity.width_search import Solution, solve_widths


def fit_models(
    models: Mapping[str, dict[str, Any]],
    shape: tuple[int, ...],
    boundary: Sequence[str],
    **inputs: int,
) -> dict[str, dict[str, Any]]:
    """Return the settings of models on data of a shape (C, H, W), with what may be searched.

    Inputs are those of `fit_to_data`.
    """
    return {
        name: fit_to_data(fields, shape, boundary, f"models.{name}", **inputs)
        | ({"search": fields["search"]} if "search" in fields else {})
        for name, fields in models.items()
    }


def require_parity_or_remedy(
    settings: Mapping[str, Any],
    sizes: Mapping[str, tuple[int, int]],
    baseline: str,
    tolerance: float,
) -> None:
    """Refuse models beyond the tolerance, with what would bring them within it."""
    try:
        require_parity(sizes, baseline, tolerance)
    except InputError as error:
        missed = [n for n, gap in gaps(sizes, baseline).items() if max(map(abs, gap)) > tolerance]
        raise InputError(f"{error}, {remedy(settings, missed, baseline, tolerance)}") from None


def remedy(settings: Mapping[str, Any], missed: list[str], baseline: str, tolerance: float) -> str:
    """Return the overrides that bring models to parity, or why there are none."""
    try:
        return "such as " + " ".join(
            overrides(n, solve_widths(settings[n], settings[baseline], tolerance, f"models.{n}")[0])
            for n in missed
        )
    except InputError as error:
        return f"but {error}"


def overrides(name: str, solution: Solution) -> str:
    """Return what to add to `dvc exp run`."""
    return " ".join(
        f"-S 'models.{name}.{setting}={value}'".replace(", ", ",")
        for setting, value in solution.settings.items()
    )


def solution_lines(settings: Mapping[str, Any], baseline: str, tolerance: float) -> Iterator[str]:
    """Yield the settings at parity that are found for each model but the baseline.

    Raises:
        InputError: In the end, if some model has none.
    """
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
