"""What a finished study may claim: `confirmatory`, `pilot` or `exploratory`.

Whatever has other parameters than a declared block, or data that are not frozen, is exploratory.
Confirmatory is the declared study alone, ended by its declared rule: at the replicate at which the
last of its models was decided, or at the last look.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chimera.governance.preregistration import Preregistration, nearest_block


def standing(
    plan: Preregistration,
    params: Mapping[str, Any],
    verify: Mapping[str, int],
    decided_at: Sequence[int | None],
) -> str:
    """Return the study's standing.

    Args:
        plan: The preregistration.
        params: Content of params.yaml.
        verify: Content of metrics/verify.json.
        decided_at: Replicates at which each compared model was decided, None if it was not.
    """
    block, deviating = nearest_block(plan, params)
    frozen = not any(verify[verdict] for verdict in ("unfrozen", "mismatched", "missing"))
    if deviating or not frozen:
        return "exploratory"
    if block == "pilot":
        return "pilot"
    n, stopping = len(params["replicates"]), plan.stopping
    at = [stopping.last_look if number is None else number for number in decided_at]
    ended = n >= stopping.first_look and bool(at) and n == max(at)
    return "confirmatory" if ended else "exploratory"
