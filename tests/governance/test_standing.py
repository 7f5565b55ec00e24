"""Only the declared study, whole, on frozen data and ended by its rule, is confirmatory."""

import pytest

from chimera.governance.preregistration import parse_preregistration
from chimera.governance.standing import standing
from governance.plans import PLAN, markdown, running

FROZEN = {"files": 4, "exact": 3, "equivalent": 1, "mismatched": 0, "missing": 0, "unfrozen": 0}


def stands(replicates, decided_at, verify=FROZEN, block="study", **changes):
    plan = parse_preregistration(markdown(PLAN), "PREREGISTRATION.md")
    params = running(block, replicates=[*range(replicates)], **changes)
    return standing(plan, params, verify, decided_at)


@pytest.mark.parametrize(
    ("replicates", "decided_at", "expected"),
    [
        (4, [4], "confirmatory"),
        (9, [9], "confirmatory"),
        (12, [12], "confirmatory"),
        (12, [None], "confirmatory"),  # undecided at the last look
        (9, [4, 9], "confirmatory"),  # two models: the last decision ends the study
        (9, [9, None], "exploratory"),
        (9, [None], "exploratory"),  # it goes on
        (9, [6], "exploratory"),  # it went on after its decision
        (12, [6], "exploratory"),
        (3, [3], "exploratory"),  # before the first look
        (4, [], "exploratory"),  # nothing was compared
    ],
)
def test_the_rule_ends_the_study(replicates, decided_at, expected):
    assert stands(replicates, decided_at) == expected


@pytest.mark.parametrize("verdict", ["mismatched", "missing", "unfrozen"])
def test_data_are_frozen(verdict):
    assert stands(9, [9], FROZEN | {verdict: 1}) == "exploratory"
    assert stands(3, [None], FROZEN | {verdict: 1}, block="pilot") == "exploratory"


def test_other_parameters_are_exploratory_and_the_pilot_is_a_pilot():
    assert stands(9, [9], evaluate={"horizon": 21}) == "exploratory"
    assert stands(9, [9], seed=3) == "exploratory"
    assert stands(3, [None], block="pilot") == "pilot"
    assert stands(4, [4], block="pilot") == "exploratory"
    # Where and how fast it ran changes nothing.
    assert stands(9, [9], scale={"name": "other"}) == "confirmatory"
