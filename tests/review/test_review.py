"""The comment on a pull request, of repositories small enough to derive every number by hand."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from scipy import stats

from chimera.commands import outcome
from chimera.interface.errors import InputError
from chimera.review.changes import Change, chance, gates, metric_changes, pooled_sd
from chimera.review.comment import comment
from chimera.review.revisions import merge_base, read_revision
from governance import plans
from governance.plans import markdown

PLAN = markdown(plans.PLAN)
SUMMARY = {
    "unet": {
        "ind": {"nrmse": 0.10, "nrmse_sd": 0.003},
        "ood": {"nrmse": 0.20, "nrmse_sd": 0.02},
        "gap": math.log(2),
        "gap_sd": 0.1,
    },
    "persistence": {"ind": {"nrmse": 0.33}, "ood": {"nrmse": 0.37}, "gap": 0.11},
}
CONTRAST = {"estimate": 0.03, "ci_low": -0.1, "ci_high": 0.2, "p": 0.5, "cohens_dz": 0.5}
STATS = {
    "fractal_unet": {
        "ood_nrmse": CONTRAST | {"cs_low": "unbounded", "cs_high": "unbounded"},
        "verdict": "undecided",
        "further": 12.3,
    },
    "margin": 0.0953,
    "standing": "pilot",
}
PARITY = {"tolerance": 0.05, "fractal_unet": {"params_gap": -0.01, "macs_gap": 0.02}}
VERIFY = {"files": 3, "exact": 3, "equivalent": 0, "mismatched": 0, "missing": 0, "unfrozen": 0}


def git(*arguments):
    settings = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *settings, *arguments], check=True, capture_output=True)


def write(path, content):
    """Write a file of the repository; anything but text and bytes as JSON."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    content = content if isinstance(content, str | bytes) else json.dumps(content)
    Path(path).write_bytes(content.encode() if isinstance(content, str) else content)


def write_params(**changes):
    write("params.yaml", yaml.safe_dump(plans.running(**changes), sort_keys=False))


def commit():
    git("add", "--all")
    git("commit", "--quiet", "--message", "test")


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Return a repository whose main branch holds an experiment, and with a branch for work."""
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY"):
        monkeypatch.delenv(name, raising=False)
    git("init", "--quiet", "--initial-branch", "main")
    write_params()
    write("PREREGISTRATION.md", PLAN)
    write("Deviation_Log.md", "# Deviations\n\n## 1. old\n- key: seed\n")
    write("Decision_Log.md", "# Decisions\n")
    write("metrics/summary.json", SUMMARY)
    write("metrics/stats.json", STATS)
    write("metrics/parity.json", PARITY)
    write("metrics/verify.json", VERIFY)
    write("plots/png/same.png", b"same")
    write("plots/png/errors.png", b"before")
    commit()
    git("checkout", "--quiet", "-b", "work")
    return tmp_path


def review(base="main", head="HEAD", site=""):
    """Return the comment as the command composes it."""
    return comment(read_revision(base, merge_base(base, head)), read_revision(head), site)


def changed(**updates):
    """Return SUMMARY with some of unet's ind metrics replaced."""
    copy = json.loads(json.dumps(SUMMARY))
    copy["unet"]["ind"] |= updates
    return copy


def test_a_change_is_measured_in_pooled_standard_deviations(repository):
    write("metrics/summary.json", changed(nrmse=0.112, nrmse_sd=0.004))
    write_params(replicates=[0, 1, 2, 3, 4])
    commit()
    base, head = read_revision("main"), read_revision("HEAD")
    found = {change.name: change for change in metric_changes(base, head, "summary")}
    # 2 degrees of freedom of 0.003 and 4 of 0.004: s^2 = (2 * 9 + 4 * 16) / 6 * 1e-6
    assert found["unet.ind.nrmse"].sd == pytest.approx(math.sqrt(82 / 6) * 1e-3)
    assert found["unet.ind.nrmse"].z == pytest.approx(0.012 / (math.sqrt(82 / 6) * 1e-3))
    assert found["unet.ind.nrmse"].marked
    assert not found["unet.ood.nrmse"].differs
    assert found["persistence.ind.nrmse"].z is None
    assert not any(name.endswith("_sd") for name in found)
    assert "| unet | 0.1 → 0.112 (**+3.2 sd**) | 0.2 | 0.6931 |" in review()
    assert "1 of 4 metrics changed by more than 2 sd" in review()
    assert "pooled over 3 and 5 replicates" in review()


def test_a_forecaster_s_name_may_have_dots(repository):
    write("metrics/summary.json", SUMMARY | {"net.v2": SUMMARY["unet"]})
    commit()
    assert (
        "| net.v2 | absent → 0.1 (new) | absent → 0.2 (new) | absent → 0.6931 (new) |" in review()
    )


@pytest.mark.parametrize(("after", "text"), [(0.105, "+1.7 sd"), (0.0939, "**-2.0 sd**")])
def test_noise_is_told_from_signal(repository, after, text):
    write("metrics/summary.json", changed(nrmse=after))
    commit()
    assert f"({text}) |" in review()


def test_a_contrast_moves_in_units_of_its_paired_differences(repository):
    # the differences have mean 0.03 and d_z 0.5, so a standard deviation of 0.06
    row = CONTRAST | {"estimate": 0.15, "ci_low": 0.05, "ci_high": 0.25, "cohens_dz": 2.5}
    write("metrics/stats.json", {"fractal_unet": {"ood_nrmse": row}})
    commit()
    found = {c.name: c for c in metric_changes(*map(read_revision, ("main", "HEAD")), "stats")}
    assert found["fractal_unet.ood_nrmse.estimate"].z == pytest.approx((0.15 - 0.03) / 0.06)
    text = review()
    assert "**Primary contrast fractal_unet.ood_nrmse**" in text
    assert "its interval: +0.150 [+0.050, +0.250], p 0.5; was undecided; +0.030 " in text
    assert "[-0.100, +0.200], p 0.5; margin 0.0953, about 13 more replicates (+2.0 sd)" in text


def test_a_decision_is_shown_with_its_sequence(repository):
    row = CONTRAST | {"cs_low": -0.2, "cs_high": -0.1}
    decided = STATS["fractal_unet"] | {"ood_nrmse": row, "verdict": "better", "further": 0.0}
    decided["decided_at"] = 9
    write("metrics/stats.json", STATS | {"fractal_unet": decided, "standing": "confirmatory"})
    commit()
    text = review()
    assert "its interval: better; +0.030 [-0.100, +0.200], p 0.5, sequence [-0.200, -0.100]" in text
    assert "- `fractal_unet.verdict`: `undecided` → `better`" in text
    assert "- `standing`: `pilot` → `confirmatory`" in text


def test_the_comment_goes_from_the_verdict_to_the_details(repository):
    write("metrics/summary.json", changed(nrmse=0.112))
    write("metrics/stats.json", STATS | {"standing": "exploratory"})
    write("src/chimera/training/loop.py", "1")
    write("src/chimera/training/cell.py", "1")
    write("src/chimera/data/settings.py", "1")
    write("plots/png/fig1.png", b"2")
    write_params(seed=1)
    commit()
    text = review()
    parts = [
        "<!-- chimera: review -->",
        "**Primary contrast",
        "- `standing`: `pilot` → `exploratory`",
        "parity:",
        "- 1 parameters, ",
        "Code: `data` (1), `training` (2).",
        "metrics changed by more than 2 sd",
        "| nRMSE | in distribution",
        "<summary>Parameters",
        "<summary>summary: ",
        "<summary>Figures: ",
    ]
    assert text.startswith(parts[0])
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_chance_is_the_level_of_the_two_sample_t_test(repository):
    assert chance((3, 3)) == pytest.approx(2 * stats.t.sf(2 / math.sqrt(2 / 3), 4))
    assert chance((1, 3)) is None
    # two samples of one normal, their pooled deviation: how often they differ by more than 2 of it
    generator = stats.norm.rvs(size=(2, 20_000, 3), random_state=0)
    pooled = (generator.var(axis=2, ddof=1).sum(axis=0) / 2) ** 0.5
    rate = (abs(generator.mean(axis=2)[0] - generator.mean(axis=2)[1]) > 2 * pooled).mean()
    assert rate == pytest.approx(chance((3, 3)), abs=4 * math.sqrt(0.07 * 0.93 / 20_000))


def test_pooling_without_spread():
    assert pooled_sd([None, None], [3, 3]) is None
    assert pooled_sd([0.2, None], [3, 3]) == pytest.approx(0.2)
    assert pooled_sd([0.2, 0.4], [1, 3]) == pytest.approx(0.4)


def test_without_spread_a_change_is_relative(repository):
    """Zero spread, as of one number of all seeds, measures nothing."""
    change = Change("x", 1.0, 1.1, 0.0)
    assert change.differs
    assert change.z is None
    assert not change.marked
    write("metrics/summary.json", changed(nrmse=0.11, nrmse_sd=0.0))
    write("metrics/stats.json", STATS | {"margin": 0.1})
    commit()
    assert "| `margin` | 0.0953 | 0.1 | +4.9% |" in review()  # 0.1 / 0.0953 = 1.0493


@pytest.mark.parametrize(("after", "differs"), [(2.000019, False), (2.000021, True), (-2.0, True)])
def test_a_change_below_rounding_is_none(after, differs):
    """2 (1 + 1e-5) = 2.00002."""
    assert Change("x", 2.0, after, 1e-9).differs == differs
    assert Change("x", 2.0, after, 1e-9).marked == differs


def test_classes_of_bytes_that_differ_are_said_once(repository):
    assert "class of processor" not in review()
    git("checkout", "--quiet", "main")
    write("metrics/provenance.yaml", "bytes: x86-64 avx2\n")
    commit()
    git("checkout", "--quiet", "-B", "work")
    assert "class of processor" not in review()
    write("metrics/provenance.yaml", "bytes: aarch64 default\n")
    commit()
    text = review()
    assert text.count("class of processor") == 1
    assert "`aarch64 default`, base `x86-64 avx2`" in text


def test_a_date_that_is_none_is_one_sentence(repository):
    write("params.yaml", "seed: 2026-13-45\n")
    commit()
    with pytest.raises(InputError, match=r"HEAD:params.yaml is not YAML: month must be in 1..12"):
        read_revision("HEAD")


def test_gates_say_what_fails(repository):
    write("metrics/parity.json", {"tolerance": 0.05, "fractal_unet": {"macs_gap": 0.06}})
    write("metrics/verify.json", VERIFY | {"exact": 2, "mismatched": 1})
    write_params(train={"steps": 641, "lr": 0.004})
    commit()
    verdicts = {name: passed for name, passed, _ in gates(read_revision("HEAD"))}
    assert verdicts == {"verify": False, "parity": False, "preregistration": False}
    text = review()
    assert "❌ verify: 3 files, 2 exact, 1 mismatched (the base passes)" in text
    assert "❌ parity: fractal_unet.macs_gap +6.0%; tolerance 5% (the base passes)" in text
    assert "❌ preregistration: 1 frozen parameters deviate; without an entry: train.steps" in text
    assert "| `train.steps` | `640` | `641` |" in text
    assert "train.lr" not in text
    write(
        "Deviation_Log.md",
        Path("Deviation_Log.md").read_text() + "\n## 2. one more\n- key: train.steps\n",
    )
    commit()
    text = review()
    assert "✅ preregistration: 1 frozen parameters deviate, each with an entry" in text
    assert "1 deviations, 0 decisions logged" in text
    assert "- `one more`" in text
    assert "`old`" not in text


def test_figures_are_compared_by_content_and_linked(repository):
    write("plots/png/errors.png", b"after")
    write("plots/png/new.png", b"new")
    commit()
    base, head = read_revision("main"), read_revision("HEAD")
    text = review(site="https://example.org/o/r")
    for revision in (base, head):
        assert (
            f'src="https://example.org/o/r/blob/{revision.commit}/plots/png/errors.png?raw=true"'
            in text
        )
    assert "| plots/png/new.png |absent |" in text
    assert "same.png" not in text
    assert f"`git show {head.commit[:9]}:plots/png/errors.png`" in review()
    assert "2 figures changed" in review()


def test_the_base_is_what_the_branch_left(repository):
    write("metrics/summary.json", changed(nrmse=0.2))
    commit()
    git("checkout", "--quiet", "main")
    write_params(train={"steps": 640, "lr": 9.0})
    commit()
    text = review("main", "work")
    assert "0 parameters" in text, "what main did since is not the branch's"
    assert "0.1 → 0.2" in text


def test_a_revision_without_metrics_says_so(repository):
    git("rm", "-r", "--quiet", "metrics")
    commit()
    text = review()
    assert "has no metrics/summary.json, metrics/parity.json" in text
    assert "until `make repro` has run" in text
    assert "| unet | 0.1 → absent (gone)" in text


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"unet": NaN}', '{"unet": {"n": "many"}}'])
def test_broken_metrics_are_named(repository, text):
    write("metrics/summary.json", text)
    commit()
    with pytest.raises(InputError, match=r"^HEAD:metrics/summary\.json"):
        review()


def test_an_older_preregistration_leaves_the_rest_comparable(repository):
    write("PREREGISTRATION.md", PLAN.replace("correlations:\n- twonn.ratio\n", ""))
    commit()
    assert "is not of this code's form: PREREGISTRATION.md.correlations is missing" in review()


@pytest.mark.parametrize(("base", "head"), [("nowhere", "HEAD"), ("main", "--help"), ("main", "")])
def test_an_unknown_revision_is_one_sentence(repository, base, head):
    with pytest.raises(InputError, match=r"the revision is '.*', expected a branch"):
        review(base, head)


def test_unrelated_histories_are_one_sentence(repository):
    git("checkout", "--quiet", "--orphan", "alone")
    write("params.yaml", "replicates: [0]\n")
    commit()
    with pytest.raises(InputError, match="no common commit"):
        merge_base("main", "alone")


def test_values_cannot_break_out_of_the_table(repository):
    write_params(train={"steps": 640, "lr": "a | `b`\n</details>"})
    commit()
    assert "| `train.lr` | `0.004` | `a \\| 'b' </details>` |" in review()


def test_names_of_metrics_and_branches_cannot_break_out_of_the_comment(repository):
    evil = "a|b](http://x) `c` <img src=x> **d**"
    write("metrics/summary.json", SUMMARY | {evil: SUMMARY["persistence"]})
    commit()
    git("branch", "we|`ird`")
    text = comment(read_revision("main"), read_revision("we|`ird`"))
    row = next(line for line in text.splitlines() if "img" in line and "0.33" in line)
    name = row.removeprefix("| ").partition(" | ")[0]
    assert name == r"a\|b\](http://x) \`c\` &lt;img src=x&gt; \*\*d\*\*"
    assert len(re.findall(r"(?<!\\)\|", row)) == 5  # of a row of four cells
    assert "<img" not in re.sub(r"`[^`]*`", "", text)  # a code span shows what it holds
    assert r"`we\|'ird'`" in text


def test_the_command_prints_the_comment_alone(repository):
    command = [sys.executable, "-m", "chimera.commands.review", "--base"]
    done = subprocess.run([*command, "main"], capture_output=True, text=True, check=True)
    assert done.stdout == review() + "\n"
    assert done.stderr == ""
    done = subprocess.run([*command, "nowhere"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: the revision is 'nowhere'")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [2000, 6000])
def test_whatever_changes_fits_into_a_comment(repository, number):
    """Numbers, words, parameters, pictures and entries at once, more than GitHub takes."""
    name = "a_rather_long_name_of_a_model_or_of_a_parameter" * (number // 2000)
    many = {f"{name}{n}": {"value": 1.0 + n, "value_sd": 0.1} for n in range(number)}
    write("metrics/probes.json", {"unet": many})
    write("metrics/stats.json", STATS | {f"{name}{n}": {"side": "left"} for n in range(number)})
    write_params(train={"steps": 640, "lr": 0.004} | {f"{name}{n}": 1 for n in range(number)})
    for n in range(200):
        write(f"plots/png/{name}{n}.png", b"picture")
    added = "".join(f"\n## {n}. {name}\n- key: train.{name}{n}\n" for n in range(2, number))
    write("Deviation_Log.md", Path("Deviation_Log.md").read_text() + added)
    commit()
    site = "https://example.org/an-organisation/a-repository"
    text = comment(read_revision("main"), read_revision("HEAD"), site, ["wrong"] * number)
    assert 10_000 < len(text) <= 65_536
    assert text.startswith("<!-- chimera: review -->")
    counts = re.search(r"(\d+) parameters, 200 figures changed; (\d+) deviations", text)
    # train.threads is gone, too
    assert [*map(int, counts.groups())] == [number + 1, number - 2]
    assert text.count("<details>") == text.count("</details>")
    *_, left = re.findall(r"and (\d+) more", text)
    assert int(left) + text.count("- wrong\n") == number


def test_what_is_said_of_a_new_model_is_one_line(repository):
    contrast = {"cs_low": "unbounded", "cs_high": "unbounded", "estimate": 0.1}
    added = {name: {"ood_nrmse": contrast, "verdict": "worse"} for name in ("fno", "net.v2")}
    write("metrics/stats.json", STATS | added | {"fnord": "odd"})
    commit()
    bullets = [line for line in review().splitlines() if line.startswith("- ")]
    first = bullets.index("- `fnord`: absent → `odd`")
    assert bullets[first + 1] == "- New: `fno` (`worse`), `net.v2` (`worse`)"
    assert bullets[first + 2].startswith("- ✅")


def test_claims_that_do_not_match_come_last_and_are_counted_above(repository):
    side = read_revision("HEAD")
    faults = ["README.md says 7.1%, the study 7.3%: FractalUNet's error is 7.1% lower."]
    text = comment(side, side, "", faults)
    assert "- ❌ 1 claims of README.md and docs/ do not match the studies" in text
    *_, heading, empty, last = text.rstrip().splitlines()
    assert heading == "**README.md and docs/ say what the studies do not:**"
    assert (empty, last) == ("", f"- {faults[0]}")
    assert "claims" not in comment(side, side)


UNDECIDED = "\nThis study cannot say whether big is better than UNet.\n"
RUN = {
    "unet": SUMMARY["unet"],
    "big": SUMMARY["unet"] | {"ind": {"nrmse": 0.1, "nrmse_sd": 0.004}},
    "persistence": SUMMARY["persistence"],
}


@pytest.fixture
def ended(repository, capsys):
    """Return a function that replaces errors of a committed run and returns how that run ended."""
    write("metrics/stats.json", {"replicates": 1, "big": {"verdict": "undecided"}})
    write("metrics/summary.json", RUN)
    commit()

    def end(**changes):
        run = json.loads(json.dumps(RUN))
        for model, (axis, error) in changes.items():
            run[model][axis]["nrmse"] = error
        write("metrics/summary.json", run)
        outcome.main([])
        printed = capsys.readouterr().out
        assert printed.startswith(UNDECIDED)
        return printed.removeprefix(UNDECIDED)

    return end


def test_an_outcome_says_how_far_it_lies_from_the_committed_run(ended):
    assert ended() == "The run gave the same numbers as the committed run.\n"
    # 0.103 - 0.1 is one standard deviation of 0.003; 0.21 - 0.2 is half of 0.02. Three models have
    # an IND error, an OOD error and a gap each.
    largest = "unet.ind.nrmse: 0.1 -> 0.103 (+1.0 sd between seeds).\n"
    begin = "numbers differ from the committed run's, most of all "
    assert ended(unet=("ind", 0.103), big=("ood", 0.21)) == f"2 of 9 {begin}{largest}"
    # an error without a spread between seeds counts least, in percent: 0.363 / 0.33 = 1.1
    assert ended(unet=("ind", 0.103), persistence=("ind", 0.363)) == f"2 of 9 {begin}{largest}"
    alone = "persistence.ind.nrmse: 0.33 -> 0.363 (+10%).\n"
    assert ended(persistence=("ind", 0.363)) == f"1 of 9 {begin}{alone}"


def test_an_outcome_names_the_report_that_there_is(ended):
    write("plots/report.html", "<!doctype html>")
    assert ended().startswith("Report: plots/report.html\n")


def test_an_outcome_without_a_committed_run_is_the_headline(ended):
    git("rm", "--quiet", "--force", "metrics/summary.json")
    git("commit", "--quiet", "--message", "no run")
    assert ended(unet=("ind", 0.2)) == ""
    Path(".git").rename("git")
    assert ended(unet=("ind", 0.3)) == ""


def test_an_outcome_says_why_a_committed_run_cannot_be_compared(ended):
    write("metrics/summary.json", "{")
    commit()
    said = ended()
    assert said.startswith("There is no comparison with the committed run: HEAD:metrics/summary.js")
    assert said.count("\n") == 1
