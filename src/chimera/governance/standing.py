"""What a finished study may claim: `confirmatory`, `pilot` or `exploratory`.

Whatever has other parameters than a declared block, or data that are not frozen, is exploratory.
Confirmatory is the declared study alone, ended by its declared rule: at the replicate at which the
last of its models was decided, or at the last look.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chimera.governance.plan import Preregistration, nearest_block


def standing(
    plan: Preregistration,
    params: Mapping[str, Any],
    verify: Mapping[str, int],
    decided_at: Sequence[int | None],
) -> str:
    """Return the standing; `decided_at` has the replicates that decided each model, else None."""
    block, deviating = nearest_block(plan, params)
    frozen = not any(verify[verdict] for verdict in ("unfrozen", "mismatched", "missing"))
    if deviating or not frozen:
        return "exploratory"
    if block == "pilot":
        return "pilot"
    n = len(params["replicates"])
    looked = bool(decided_at) and n >= plan.stopping.first_look
    return "confirmatory" if looked and n == ends_at(plan, decided_at) else "exploratory"


def ends_at(plan: Preregistration, decided_at: Sequence[int | None]) -> int:
    """Return the replicates at which the rule ends the study; `decided_at` as for `standing`."""
    last = plan.stopping.last_look
    return max((last if n is None else n for n in decided_at), default=last)
