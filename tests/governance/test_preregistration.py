"""The frozen blocks are read strictly, and every departure from them is found by its key."""

from pathlib import Path

import pytest
import yaml

from chimera.data.settings import read_data
from chimera.governance.plan import Deviation, decisive, deviations, nearest_block
from chimera.governance.preregistration import parse_preregistration, read_preregistration
from chimera.interface.errors import InputError
from chimera.planning.composition import compose
from chimera.study.axes import axis_name
from chimera.study.endpoints import endpoint_names
from governance.plans import PLAN, STUDY, bent, markdown, running

ROOT = Path(__file__).parents[2]


def declared():
    return read_preregistration(ROOT / "PREREGISTRATION.md")


def read(plan):
    return parse_preregistration(markdown(plan), "PREREGISTRATION.md")


@pytest.mark.parametrize(("block", "overrides"), [("pilot", ()), ("study", ["scale=study"])])
def test_the_frozen_blocks_are_what_conf_composes(block, overrides):
    """Leaf by leaf, and nothing that decides a number is left open."""
    params = yaml.safe_load(compose(overrides, ROOT / "conf"))
    assert nearest_block(declared(), params) == (block, [])
    assert list(read_data(params["data"]).names) == params["datasets"]
    if block == "pilot":
        assert deviations(declared().pilot, decisive(params)) == []


def test_the_committed_parameters_are_the_pilot_s():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert nearest_block(declared(), params) == ("pilot", [])


def test_every_declared_endpoint_exists_once():
    plan = declared()
    datasets = plan.pilot["datasets"]
    axes = [axis_name(dataset, datasets) for dataset in datasets]
    assert sorted([plan.primary, *plan.secondary]) == sorted(endpoint_names(axes))
    assert list(plan.weights) == axes[1:]


def test_the_study_is_the_pilot_s_recipe_on_what_nobody_has_run():
    plan = declared()
    assert {d.key.split(".")[0] for d in deviations(plan.pilot, plan.study)} == {
        "seed", "replicates", "probe_names", "datasets", "data",
    }  # fmt: skip
    pilot, study = (plan.pilot["data"]["datasets"], plan.study["data"]["datasets"])
    assert list(pilot.values()) == list(study.values())
    assert plan.study["replicates"] == list(range(plan.stopping.last_look))


def test_what_decides_no_number_is_left_open():
    left = deviations(decisive(running()), running())
    assert {d.key for d in left} == {
        "scale", "train.threads", "evaluate.batch_size", "models.unet.source", "data.manifests",
    }  # fmt: skip
    unused = decisive(running("study", model_names=["unet"]))
    assert list(unused["models"]) == ["unet"]
    assert list(unused["data"]["datasets"]) == STUDY["datasets"]


def test_deviations_are_leaves_with_both_values():
    frozen = {"seed": 0, "train": {"steps": 10, "lr": 0.1}, "models": {"unet": {"norm": "group"}}}
    now = {"seed": 1, "train": {"steps": 20, "lr": 0.1, "unroll": 4}, "models": {"unet": 3}}
    assert deviations(frozen, now) == [
        Deviation("seed", 0, 1),
        Deviation("train.steps", 10, 20),
        Deviation("train.unroll", None, 4),
        Deviation("models.unet", {"norm": "group"}, 3),
    ]
    assert deviations({"a": {"b": 1}}, {}) == [Deviation("a", {"b": 1}, None)]


def test_a_run_is_compared_with_the_block_that_it_is_nearer_to():
    plan = read(PLAN)
    assert nearest_block(plan, running()) == ("pilot", [])
    assert nearest_block(plan, running(seed=3)) == ("pilot", [Deviation("seed", 0, 3)])
    for n in (1, 5, 12):
        assert nearest_block(plan, running("study", replicates=[*range(n)])) == ("study", [])
    other = running("study", evaluate={"horizon": 3})
    assert nearest_block(plan, other) == ("study", [Deviation("evaluate.horizon", 20, 3)])


@pytest.mark.parametrize("replicates", [[1, 0, 2, 3], [0, 1, 2, 2], [0, 2, 3, 4], [*range(13)], []])
def test_replicates_repeated_reordered_or_left_out_deviate(replicates):
    block, found = nearest_block(read(PLAN), running("study", replicates=replicates))
    assert (block, [d.key for d in found]) == ("study", ["replicates"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no block", "has 0 yaml blocks, expected one"),
        ("```yaml\na: 1\n```\n```yaml\nb: 1\n```\n", "has 2 yaml blocks"),
        ("```yaml\na: [\n```\n", r"^PREREGISTRATION\.md is not YAML"),
        ("```yaml\nday: 2026-13-45\n```\n", r"^PREREGISTRATION\.md is not YAML: month must be"),
        ("```yaml\nalpha: 0.05\npowr: 1\n```\n", r"powr is not a known key; did you mean power"),
    ],
)
def test_a_broken_plan_is_one_sentence(tmp_path, text, words):
    path = tmp_path / "PREREGISTRATION.md"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_preregistration(path)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("margin", 0, "margin is 0, expected a number above 0"),
        ("margin", -0.1, "margin is -0.1, expected a number above 0"),
        ("margin", ..., "margin is missing, expected a value"),
        ("alpha", 0.5, "alpha is 0.5, expected a number below 0.5"),
        ("secondary", [], r"secondary is \[\], expected a list of at least 1"),
        ("correlations", [], r"correlations is \[\], expected a list of at least 1"),
        ("correlations", ["twon.ratio"], "correlations has 'twon.ratio', expected <probe>"),
        ("primary", "ood_nmrse", "names 'ood_nmrse', expected one of ind_nrmse, ind_valid"),
        ("secondary", ["gpa"], "names 'gpa', expected one of"),
        ("secondary", ["ood_other_nrmse"], "names 'ood_other_nrmse', expected one of"),
        ("secondary", ["gap", "gap"], "names the endpoint 'gap' twice"),
        ("secondary", ["ood_nrmse"], "names the endpoint 'ood_nrmse' twice"),
        ("weights", {}, "weights has no axis, expected one for each of ood_force"),
        ("weights", {"ood_other": 1}, "weights has ood_other, expected one for each of ood_force"),
        ("weights", {"ood_force": 0}, "weights.ood_force is 0, expected a number above 0"),
        ("stopping.last_look", 3, r"last_look is 3, expected 4 or more"),
        ("stopping", ..., "stopping is missing"),
        ("stopping.first_look", 1, "stopping.first_look is 1, expected a whole number of"),
        ("stopping.prior_variance", 0, "stopping.prior_variance is 0, expected a number"),
        ("pilot", {}, "pilot.seed is missing, expected a value"),
        ("pilot", ..., "pilot is missing, expected a value"),
        ("pilot.train", ..., "pilot.train is missing, expected a value"),
        ("pilot.train", {}, "pilot.train is {}, expected a value"),
        ("pilot.models.unet", {}, "pilot.models.unet is {}, expected a value"),
        ("pilot.replicates", None, "pilot.replicates is None, expected a list"),
        ("pilot.seed", "", "pilot.seed is '', expected a whole number"),
        ("study", {}, "study is empty, expected what differs from the pilot"),
        ("study", ..., "study is missing, expected a value"),
        ("study.train", {}, "study.train is {}, expected a value"),
        ("study.datasets", ..., r"study.datasets is \[\], expected as many as the pilot's"),
        ("study.datasets", ["ind_v1s"], "expected as many as the pilot's"),
        ("study.datasets", ["ind_v1s", "ood_other_v1"], "names the endpoint|weights has ood_force"),
        ("study.datasets", ["ind_v1", "ood_force_v1s"], "study.datasets has ind_v1 of the pilot"),
        ("study.seed", 0, "study.seed is 0, the pilot's, expected one not run yet"),
        ("study.seed", ..., "study.seed is 0, the pilot's, expected one not run yet"),
        ("study.data.seed", 0, "study.data.seed is 0, the pilot's"),
        ("study.data", {}, "study.data is {}, expected a value"),
        ("study.replicates", ..., r"study.replicates is \[0, 1, 2\], expected 12 different ones"),
        ("study.replicates", [*range(11), 0], "expected 12 different ones, as many as stopping"),
    ],
)
def test_a_plan_with_a_hole_is_one_sentence(key, value, words):
    with pytest.raises(InputError, match=words) as caught:
        read(bent(key, value))
    assert str(caught.value).startswith("PREREGISTRATION.md")
