"""What the report says of costs follows from its numbers, and it says what was not measured."""

import html
import re

import pytest
import yaml

from chimera.planning.break_even import Cost, read_costs
from chimera.planning.composition import compose
from chimera.report.cost import account, effort
from chimera.report.document import templates
from report.study import cells

MODELS = ["unet", "fractal_unet"]
PARAMS = {
    "model_names": MODELS,
    "datasets": ["flow", "decay"],
    "data": {
        "source": "generated",
        "num_frames": 10,
        "datasets": {"flow": {"trajectories": {"train": 3, "valid": 2}}},
    },
    "train": {"steps": 100, "batch_size": 16},
    "models": {"unet": {"train": {"lr": 0.1}}, "fractal_unet": {"train": {"steps": 50}}},
}


def errors(ind, decay):
    rows = {"ind": {"nrmse": ind, "rollout_nrmse": 2 * ind}, "ood_decay": {"nrmse": decay}}
    return rows | {"ood": {"nrmse": decay}, "gap": 1.0}


SUMMARY = {
    "unet": errors(0.10, 0.05),
    "fractal_unet": errors(0.08, 0.20),
    "persistence": errors(0.5, 0.5),
    "solver_48": errors(0.06, 0.06),
    "solver_32": errors(0.09, 0.30),
}
COSTS = {
    "unet": Cost(9.0, 1.0, 5.0),
    "fractal_unet": Cost(9.0, 4.0, 8.0),
    "solver_32": Cost(2.0, 1.0, 0.0),
    "solver_48": Cost(4.0, 3.0, 0.0),
    "solver_128": Cost(30.0, 21.0, 0.0),
    "data": Cost(40.0, 0.0, 0.0),
}


def of(costs=COSTS, summary=SUMMARY, tuning=None):
    return account(PARAMS, summary, {"x86_64": costs} if costs else {}, tuning or {})


def classical(found):
    """Return what the page says of the solver: the headline, then the rest, each in one line."""
    module = templates().get_template("prose.html").module
    text = html.unescape(module.classical(*(found[key] for key in ("classical", "batch", "never"))))
    return [" ".join(re.sub(r"<.*?>", "", part).split()) for part in text.split("</strong>")]


def caption(found):
    """Return the caption of the table of break-even numbers, in one line."""
    module = templates().get_template("prose.html").module
    return " ".join(module.break_even(found["batch"], found["untuned"]).split())


def test_break_even_on_each_axis_against_a_count_by_hand():
    """Data are 10 (3 + 2) frames of 40 ms; a training of unet 1,600 samples of 5 ms.

    unet: 2,000 + 8,000 = 10,000 ms. IND .10: on 32² (.09) a frame costs 1 ms, as does the
    network's: never. Decay .05: only the truth, 21 ms, errs less: 10,000 / 20 = 500, at which both
    are equal. fractal_unet, 4 ms a frame: IND .08 and decay .20 on 48² for 3 ms.
    """
    found = of()
    assert [list(row) for row in found["break_even"].values()] == [MODELS, MODELS]
    assert cells("break_even", found["break_even"]) == [
        ("IND", "never (32²)", "never (48²)"),
        ("OOD decay", "501 (128²)", "never (48²)"),
    ]
    assert caption(found).endswith("No tuning counted: UNet, FractalUNet.")
    times = cells("times", found["times"]["x86_64"])
    assert times[0] == ("UNet", "9", "1", "5", "2", "0", "8")
    assert times[1] == ("FractalUNet", "9", "4", "8", "2", "0", "6")
    assert times[-1] == ("solver 128", "30", "21", "-", "-", "-", "-")
    assert found["unmeasured"] == ""
    assert "ever costs less" not in classical(found)[1]


def test_nothing_is_said_of_the_solver_on_an_axis_of_files():
    files = {"ood_files": {"nrmse": 0.4, "rollout_nrmse": 0.8}}
    known = {name: row | ({} if "solver" in name else files) for name, row in SUMMARY.items()}
    found, whole = of(summary=known), of()
    assert found["break_even"] == whole["break_even"]
    assert found["classical"] | {"where": ""} == whole["classical"] | {"where": ""}
    better = {"solver_48": errors(0.06, 0.04)}
    assert of(summary=SUMMARY | better)["classical"]["where"] == "every axis"
    assert of(summary=known | better)["classical"]["where"] == "IND, OOD decay"
    alone = {name: row for name, row in known.items() if "solver" not in name}
    alone["linear"] = errors(0.5, 0.5)  # on fields too coarse for any grid of the solver
    assert list(of(summary=alone)["break_even"]) == ["ind", "ood_decay"]


def test_tuning_is_counted_where_its_samples_are_known():
    found = of(tuning={"unet": {"samples": 2000, "trials": 8}})
    rows = cells("break_even", found["break_even"])
    assert rows[1][1] == "1,000 (128²)"  # 20,000 / 20 + 1, at three digits
    assert caption(found).endswith("No tuning counted: FractalUNet.")


def test_what_a_classical_solver_does_better_is_said_in_numbers():
    """On 48² IND .06 of .08 is 75%, decay .06 of .05 is 120%; rollouts .12 and .16."""
    headline, rest = classical(of())
    assert headline.endswith(
        "on a grid of 48² points errs less than every network, one frame ahead, on IND."
    )
    assert "is 75% to 120% of the best network's" in rest
    assert "it is 0.12, the best network's 0.16" in rest
    assert "A frame costs it 3 ms, the fastest network, UNet, 1 ms" in rest
    worse = SUMMARY | {"solver_48": errors(0.2, 0.2)}
    assert classical(of(summary=worse))[0].endswith("on no axis.")
    better = SUMMARY | {"solver_48": errors(0.01, 0.01)}
    assert classical(of(summary=better))[0].endswith("on every axis.")


def test_never_on_every_axis_is_said_once_and_plainly():
    slow = COSTS | {"unet": Cost(99.0, 30.0, 5.0)}
    assert "Counted with its data and training, no network" in classical(of(slow))[1]


@pytest.mark.parametrize("missing", ["unet", "fractal_unet"])
def test_a_network_without_a_time_is_left_out_with_a_sentence(missing):
    found = of({name: cost for name, cost in COSTS.items() if name != missing})
    (other,) = set(MODELS) - {missing}
    assert [list(row) for row in found["break_even"].values()] == [[other]] * 2
    name = {"unet": "UNet", "fractal_unet": "FractalUNet"}
    assert f"no times, at this size, of {name[missing]};" in found["unmeasured"]
    assert f"fastest network, {name[other]}," in classical(found)[1]


def test_without_times_the_command_is_named_and_errors_are_still_compared():
    found = of(costs=None)
    assert not found["break_even"]
    assert not found["times"]
    assert "UNet, FractalUNet, solver 32, solver 48; `make cost`" in found["unmeasured"]
    assert "it is 0.12" in classical(found)[1]
    assert "costs" not in classical(found)[1]


def test_without_the_truth_no_solver_may_be_good_enough():
    found = of({name: cost for name, cost in COSTS.items() if name != "solver_128"})
    assert cells("break_even", found["break_even"])[1][1] == "no such solver"


def test_data_whose_equation_nobody_knows_have_no_solver():
    known = {name: row for name, row in SUMMARY.items() if not name.startswith("solver")}
    found = of({name: COSTS[name] for name in MODELS}, known)
    assert not found["break_even"]
    assert classical(found) == [
        "No solver was evaluated: nobody knows the equation, or no grid is coarser.",
        "",
    ]
    assert cells("times", found["times"]["x86_64"])[0] == ("UNet", "9", "1", "-", "-", "-", "-")


@pytest.mark.parametrize("source", ["pdebench", "well", "npz"])
def test_the_data_of_somebody_else_cost_nothing(source):
    params = yaml.safe_load(compose([f"data={source}", "data.root=flows"]))
    assert effort(params, "unet", {}).frames == 0
    assert all("data" not in rows for rows in read_costs({}, params["data"]).values())
