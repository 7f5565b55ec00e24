"""The report's words follow from its numbers, whatever they are; equal inputs give equal bytes."""

import base64
import hashlib
import html
import math
import re
import subprocess

import pytest
import yaml

from chimera.files.artifacts import write_bytes
from chimera.governance.plan import Deviation, Preregistration
from chimera.interface.errors import InputError
from chimera.report import prose, tables
from chimera.report.document import git_object, templates
from chimera.report.verdict import beaten_by_baselines, verdicts
from chimera.stages import figures, report
from chimera.study.endpoints import by_model
from chimera.study.stopping import Stopping
from figures import tables as search
from report import study
from report.study import statistics

MODELS = ["unet", "fractal_unet"]
PLAN = Preregistration(
    alpha=0.05,
    margin=math.log(1.1),
    margin_frames=1.0,
    power=0.8,
    primary="ood_nrmse",
    secondary=("ind_nrmse", "ind_valid_time", "gap"),
    correlations=(),
    weights={},
    stopping=Stopping(first_look=8, last_look=40, prior_variance=5.0),
    pilot={},
    study={},
)
ROW = {"nrmse": 0.2}
SUMMARY = {
    "unet": {"ind": {"nrmse": 0.1}, "ood": {"nrmse": 0.2}, "ood_decay": ROW},
    "fractal_unet": {"ind": {"nrmse": 0.2}, "ood": {"nrmse": 0.1}, "ood_decay": ROW},
    "persistence": {"ind": {"nrmse": 0.3}, "ood": {"nrmse": 0.1}, "ood_decay": {"nrmse": 0.1}},
}


def verdict(stats, models=MODELS):
    """Return the headline and the whole text of the one verdict."""
    found = verdicts(stats, SUMMARY, PLAN, models, "unet")
    assert len(found) == 1
    return found[0].headline, " ".join(found[0].sentences)


def said(macro, *values):
    """Return a sentence of templates/prose.html in one line."""
    module = templates().get_template("prose.html").module
    return " ".join(html.unescape(getattr(module, macro)(*values)).split())


def test_too_few_replicates_are_undecided_and_say_how_many_more():
    stats = statistics(estimate=math.log(1.03), half=math.log(1.2), p=0.49)
    headline, text = verdict(stats)
    expected = "3 replicates leave undecided whether FractalUNet or UNet has the lower one-step OOD"
    assert headline == f"{expected} error."
    assert "is 3.0% higher than UNet's" in text
    low, high = f"{1 - 1.03 / 1.2:.1%} lower", f"{1.03 * 1.2 - 1:.1%} higher"
    assert f"95% t interval: {low} to {high}; p = 0.490" in text
    assert "until it is decided, from 8 on. About 14 more are expected, up to 40 in all" in text
    assert "a decision by then with a probability of 88%" in text
    assert "a t test of 3 replicates finds a difference of 20% of error" in text
    assert "the smallest of interest is 10%" in text
    assert "None of the 3 secondary endpoints has q < 0.05" in text
    assert "coverage" not in text


def test_an_undecided_study_shows_the_sequence_once_it_is_bounded():
    text = verdict(statistics(replicates=9, estimate=0.0, half=math.log(1.1)))[1]
    low, high = f"{1 - 1.1**-2:.1%} lower", f"{1.1**2 - 1:.1%} higher"
    assert "which holds at every look, now reaches from " + f"{low} to {high}" in text
    last = verdict(statistics(replicates=40))
    assert last[0].startswith("40 replicates leave undecided")
    assert "That was the last of 40 looks" in last[1]


@pytest.mark.parametrize(("estimate", "word"), [(-0.2, "better"), (0.2, "worse")])
def test_a_difference_is_named_in_its_direction(estimate, word):
    decided = {"verdict": word, "decided_at": 8}
    headline, text = verdict(
        statistics(replicates=9, estimate=estimate, half=0.1, p=0.004, **decided)
    )
    assert headline == f"FractalUNet is {word} than UNet in one-step OOD error."
    assert "p = 0.004" in text
    reason = "decided at replicate 8, where the 95% confidence sequence excludes equality"
    assert f"{reason}. " in text, "the sequence of a later look is another"
    at_once = verdict(statistics(replicates=8, estimate=estimate, half=0.05, p=0.1, **decided))[1]
    low, high = (math.expm1(estimate + side) for side in (-0.1, 0.1))
    ends = [f"{abs(end):.1%} {'lower' if end < 0 else 'higher'}" for end in (low, high)]
    assert f"{reason}: it holds at every look, and reaches from {' to '.join(ends)}. " in at_once
    assert "other flows were not sampled" in text
    assert "3 of 3 secondary endpoints have q < 0.05" in text


def test_equivalence_names_its_margin():
    decided = {"verdict": "equivalent", "decided_at": 12}
    headline, text = verdict(statistics(replicates=12, half=0.04, **decided))
    assert headline == "FractalUNet and UNet are equivalent in one-step OOD error, within 10%."
    assert "at replicate 12, where the 90% confidence sequence lies within 10%" in text


def test_the_word_is_that_of_the_statistics_whatever_p_is():
    assert "undecided" in verdict(statistics(p=0.001, estimate=-0.3))[0]


def test_one_replicate_gives_no_verdict_but_what_was_observed():
    headline, text = verdict(statistics(replicates=1))
    assert headline == "This study cannot say whether FractalUNet is better than UNet."
    assert "one replicate cannot tell" in text
    assert "mean IND error of FractalUNet is 100.0% higher than UNet's" in text
    assert "mean OOD error of FractalUNet is 50.0% lower than UNet's" in text


def test_without_ood_data_the_secondary_endpoint_is_called_secondary():
    headline, text = verdict(statistics(ood=False, p=0.01, estimate=-0.1))
    assert headline == "This study cannot say whether FractalUNet is better than UNet."
    assert "The primary endpoint, one-step OOD error, does not exist here" in text
    assert "q = 0.010" in text


def test_a_single_model_is_nothing_to_compare():
    assert "nothing to compare" in verdict({"replicates": 3}, models=["unet"])[0]


def test_several_models_have_a_verdict_each():
    row = study.contrast(0.1, 0.05, 0.001, 10)
    stats = {
        "fractal_unet": {"ood_nrmse": row, "verdict": "equivalent", "decided_at": 9},
        "large": {"ood_nrmse": row, "verdict": "worse", "decided_at": 10},
    }
    about = {"replicates": 10}
    found = verdicts(stats | about, SUMMARY, PLAN, [*MODELS, "large"], "unet")
    assert [v.headline.split(" than ")[0] for v in found] == [
        "FractalUNet and UNet are equivalent in one-step OOD error, within 10%.",
        "large is worse",
    ]


def test_standing_names_why_a_study_is_exploratory():
    assert said("status", statistics(standing="confirmatory"), 0).startswith(
        "Standing: confirmatory."
    )
    assert said("status", statistics(), 0).startswith("Standing: pilot.")
    assert "data files that no manifest has frozen: 3" in said("status", statistics(), 3)
    assert "the declared rule has not ended it" in said(
        "status", statistics(standing="exploratory"), 0
    )
    text = said("status", statistics(standing="exploratory", deviations=2), 5)
    assert "exploratory" in text
    assert "preregistered ones: 2" in text
    assert "frozen: 5" in text


def test_failed_gates_and_withheld_statistics_are_said():
    verify = {"files": 9, "exact": 8, "equivalent": 0, "mismatched": 1, "missing": 0, "unfrozen": 0}
    parity = {"tolerance": 0.05, "big": {"params_gap": 0.2, "macs_gap": 0.0}}
    data, models = said("gates", verify, parity).removesuffix("</li>").split("</li> ")
    assert data.startswith("<li>Data: failed. Of 9 files 8 have the frozen sha256")
    assert models.startswith("<li>Parity: failed")
    assert "20.0%" in models
    assert "Parity: passed" in said("gates", verify, {"tolerance": 0.05, "unet": {"params": 1}})
    withheld = prose.withheld_statistics({"unet": {"ib": {"withheld_x": 4.0, "withheld_y": 0.0}}})
    stats = statistics()
    row = stats["fractal_unet"]["gap"]
    listed = said("limits", {"datasets": ["a"]}, stats, prose.undecided(stats), withheld, row)
    assert "mean over replicates: UNet, ib, withheld x: 4.</li>" in listed
    assert "Undecided at 3 replicates: FractalUNet." in listed
    assert "cannot fall below 0.25 at" in listed
    assert "out of distribution" in listed
    assert "Without OOD data" in said("correlations", {})


def test_the_title_is_the_question():
    expected = "E1: FractalUNet against UNet at equal parameters and MACs"
    assert said("title", MODELS, "unet") == expected
    assert said("title", ["unet"], "unet") == "E1: UNet"


def test_numbers_agree_with_their_nouns():
    assert [said("counted", n, "axis", "axes") for n in (0, 1)] == ["0 axes", "1 axis"]
    found = {"twonn.ind": {"rho": 0.5}, "withheld": 1, "n": 20, "models": 2}
    sentence = said("correlations", {"spearman": found})
    assert sentence.endswith("1 was tested and 1 was withheld.")
    few = found | {"withheld": 2, "unattainable": 2, "smallest_p": 0.2}
    assert said("correlations", {"spearman": few}).endswith(
        "2 were withheld; 2 of them because no order of so few runs has a p below 0.2."
    )


def test_interventions_are_said_with_their_interval():
    """The t quantile of 2 degrees of freedom is 4.3027: 0.5 -+ 4.3027 x 0.1 / sqrt(3).

    The fourth run had no order of layers; the other model's runs have no spread.
    """
    edits = {"unet": {"localisation_rho": 0.5}, "fractal_unet": {"localisation_rho": 0.1}}
    rows = [
        {"model": model, "replicate": r, "probe": "rome", "statistic": name, "value": str(value)}
        for model, r, name, value in (
            ("unet", 0, "localisation_rho", 0.4),
            ("unet", 1, "localisation_rho", 0.5),
            ("unet", 2, "localisation_rho", 0.6),
            ("unet", 3, "efficacy", 0.9),
            ("fractal_unet", 0, "localisation_rho", 0.1),
            ("fractal_unet", 1, "localisation_rho", 0.1),
        )
    ]
    intervals = prose.localisation_intervals(rows, list(edits))
    half = 4.30265 * 0.1 / math.sqrt(3)
    assert intervals == {"unet": pytest.approx((0.5 - half, 0.5 + half, 3), abs=1e-5)}
    text = said("editing", edits, intervals)
    assert text.startswith("Localisation informs editing")
    assert "(95% t interval over 3 seeds: +0.25 to +0.75)" in text
    assert said("editing", {"unet": {}}, {}) == "No layer was edited."
    assert said("patching", []).startswith("No counterfactual twins")


def test_the_table_of_the_search_has_the_two_best_and_their_repeats():
    assert tables.tuning_rows(search.trials(), search.repeats(), ["unet", "nowhere"]) == [
        ("UNet", "best", "0.02", "0.0001", "0.0500", "0.0400, 0.0420"),
        ("UNet", "second", "0.2", "0.0001", "0.0750", "0.0600, 0.0700"),
    ]
    assert tables.tuning_rows(search.trials(), search.repeats(), ["nowhere"]) == []


@pytest.mark.parametrize(
    ("gain", "judged"),
    [(0.05, "it is long enough"), (0.2, "UNet and FractalUNet could still gain more")],
)
def test_the_page_says_whether_training_is_long_enough(gain, judged):
    gains = prose.gains_by_model(search.repeats(gain), search.MODELS)
    text = said("training_length", gains)
    assert f"for 200 steps instead of 100 lowers the validation error of UNet by {gain:.0%}" in text
    assert text.endswith(f"measured against 10%, {judged}.")
    assert prose.gains_by_model(search.repeats(gain), ["nowhere"]) == {}
    assert said("training_length", {}) == ""


def test_the_table_of_errors_has_every_mean_and_its_spread():
    summary = {
        "unet": {"ind": {"nrmse": 0.0761, "nrmse_sd": 0.0012}, "gap": 1.0},
        "persistence": {"ind": {"nrmse": 0.3}},
    }
    names = ["unet", "persistence"]
    assert study.cells("errors", summary, names, "nrmse") == [("IND", "0.0761 ± 0.0012", "0.300")]


def test_the_table_of_contrasts_has_the_primary_first_and_frames_as_they_are():
    """exp(0.03) is 1.030, exp(0.03 -+ 0.15) 0.887 and 1.197; 0.15 of a logarithm is 16.2%."""
    rows = by_model(statistics())["fractal_unet"]
    primary, *others = study.cells("contrasts", rows, PLAN)
    first = ("OOD error, all axes (primary)", "1.030", "0.887 to 1.197", "unbounded", "0.490")
    rest = ("0.490", "0.070", "1.5", "0.250", "+0.40", "16.2%", "40%", "3", "no")
    assert primary == first + rest
    (frames,) = (row for row in others if row[0] == "IND valid time")
    assert frames[1:3] == ("+0.03 frames", "-0.12 to +0.18")
    assert frames[10:12] == ("0.15 frames", "-")


def test_a_deviation_has_its_last_reason_in_the_log():
    log = [{"key": "seed", "reason": "old"}, {"title": "x"}, {"key": "seed", "reason": "new"}]
    found = [Deviation("seed", 0, 1), Deviation("train.lr", 0.12345, None)]
    assert study.cells("deviating", found, log) == [
        ("seed", "0", "1", "new"),
        ("train.lr", "0.1235", "none", "no entry in the log"),
    ]


def test_git_names_a_file_as_git_does(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"some\0content\n")
    done = subprocess.run(["git", "hash-object", path], capture_output=True, text=True, check=True)
    assert git_object(path.read_bytes()) == done.stdout.strip()


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes a study and the report of it, and returns the page."""

    def written(stats, draw=False, **kinds):
        study.write_study(tmp_path, stats, **kinds)
        monkeypatch.chdir(tmp_path)
        for name, suffix in report.PICTURES.items():
            write_bytes(tmp_path / f"plots/{suffix}/{name}.{suffix}", b"<svg/>")
        for dataset in yaml.safe_load((tmp_path / "params.yaml").read_text())["datasets"]:
            axis = dataset.removeprefix("cfd2d_").removesuffix("_v2")
            for name in (axis, f"{axis}-still"):
                write_bytes(tmp_path / f"plots/webp/{name}.webp", name.encode())
        if draw:
            figures.main()
        report.main()
        return (tmp_path / "plots/report.html").read_text()

    return written


def test_page_is_whole_small_and_the_same_every_time(write, tmp_path):
    path = tmp_path / "params.yaml"
    first = write(statistics(standing="exploratory", deviations=1))
    assert len(first) < 3_000_000
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", first)
    assert "url(" not in first
    (script,) = re.findall(r"<script>(.*?)</script>", first, re.DOTALL)
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{allowed}'\">" in first
    ids = set(re.findall(r'id="([^"]+)"', first))
    assert set(re.findall(r'href="#([^"]+)"', first)) <= ids
    text = html.unescape(re.sub(r"<[^>]+>|base64,[^\"]+", "", first))
    assert git_object(path.read_bytes()) in text
    assert "0f" * 32 in text
    assert "test class" in text
    assert "Standing: exploratory" in text
    assert "Of 2 declared correlations" in text
    assert "-0.90 to +0.60" in text
    assert "Amendments of the preregistration." in text

    report.main()
    assert (tmp_path / "plots/report.html").read_text() == first

    params = yaml.safe_load(path.read_text())
    params["train"]["lr"] = 0.123
    params["scale"]["name"] = "<script>alert(1)</script>"
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    report.main()
    second = (tmp_path / "plots/report.html").read_text()
    assert second.count("<script") == 1
    assert "train.lr" in second
    assert "no entry in the log" in second


@pytest.mark.parametrize("kinds", [{"replicates": 1}, {"ood": False}])
def test_a_study_with_less_in_it_is_a_page_too(write, kinds):
    page = write(statistics(**kinds), draw=True, **kinds)
    assert "Verdict" in page
    axes = 6 if kinds.get("ood", True) else 1
    assert page.count("<img") == len(report.PICTURES) + axes
    moving = re.findall(r'src(set)?="data:image/webp;base64,([^"]+)"', page)
    assert len(moving) == 2 * axes
    assert sum(len(content) for _, content in moving) < 1_000_000


def test_a_missing_picture_is_one_sentence(write, tmp_path):
    write(statistics())
    (tmp_path / "plots/svg/rome.svg").unlink()
    with pytest.raises(InputError, match=r"cannot read plots/svg/rome\.svg"):
        report.main()


def test_each_baseline_is_named_with_the_axes_on_which_it_errs_less():
    def row(ind, decay):
        return {"ind": {"nrmse": ind}, "ood_decay": {"nrmse": decay}, "ood": {"nrmse": decay}}

    summary = {
        "unet": row(0.2, 0.2),
        "fractal_unet": row(0.1, 0.3),
        "persistence": row(0.3, 0.25),
        "solver_48": row(0.05, 0.05),
    }
    assert beaten_by_baselines(summary, ["unet", "fractal_unet"]) == [
        "Predicting that nothing changes errs less, one step ahead, than UNet on no axis; "
        "FractalUNet on OOD decay.",
        "The solver itself, which knows the equation, on 48² points errs less, one step "
        "ahead, than UNet on every axis; FractalUNet on every axis.",
    ]
    for name in ("unet", "fractal_unet", "persistence"):
        summary[name] = summary[name] | {"ood_files": {"nrmse": 0.5}}
    known, solver = beaten_by_baselines(summary, ["unet", "fractal_unet"])
    assert known.endswith("than UNet on no axis; FractalUNet on OOD decay.")
    assert solver.endswith("UNet on IND, OOD decay; FractalUNet on IND, OOD decay.")
