"""E1 as a user runs it: the real dvc on the real pipeline, at smoke scale, in its own workspace."""

import json
import os
import re
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
import yaml

from chimera.files.artifacts import read_csv
from chimera.files.tensors import read_tensors, write_tensors
from chimera.governance.plan import decisive
from chimera.study.axes import axis_name
from chimera.study.endpoints import endpoint_names
from workspaces import ENVIRONMENT, FRESH, SMOKE, call, command, commit, sentence, stage

SIX_DIGITS = 5.1e-6  # relative rounding of metrics/*.json


def set_param(workspace, key, value):
    """Change one dotted key of params.yaml."""
    path = workspace / "params.yaml"
    params = yaml.safe_load(path.read_text())
    *parents, last = key.split(".")
    section = params
    for name in parents:
        section = section[name]
    section[last] = value
    path.write_text(yaml.safe_dump(params, sort_keys=False))


@pytest.fixture
def workspace(finished, tmp_path):
    """Return a copy of the finished workspace that a test may damage."""
    copy = tmp_path / "chimera"
    shutil.copytree(finished, copy, symlinks=True)
    return copy


def test_metrics_are_complete_and_finite(finished):
    params = yaml.safe_load((finished / "params.yaml").read_text())
    summary = json.loads((finished / "metrics/summary.json").read_text())
    axes = {"ind", "ood"} | {
        name.removeprefix("cfd2d_").removesuffix("_v2") for name in params["datasets"][1:]
    }
    names = ("nrmse", "vrmse", "rmse_low", "rmse_mid", "rmse_high", "rollout_nrmse", "valid_time")
    for forecaster in (*params["model_names"], "persistence"):
        for axis in axes:
            assert all(isinstance(summary[forecaster][axis][name], float) for name in names)
    for model in params["model_names"]:
        assert all(f"{name}_sd" in summary[model]["ind"] for name in names)
    verify = json.loads((finished / "metrics/verify.json").read_text())
    assert verify["files"] == 4 + len(params["datasets"]) - 1
    assert verify["mismatched"] == verify["missing"] == 0
    assert verify["exact"] + verify["equivalent"] == verify["files"]
    parity = json.loads((finished / "metrics/parity.json").read_text())
    for gap in ("params_gap", "macs_gap"):
        measured = parity["fractal_unet"][gap]
        key = gap.removesuffix("_gap")
        expected = parity["fractal_unet"][key] / parity["unet"][key] - 1
        assert measured == pytest.approx(expected, abs=1e-12)
        assert abs(measured) <= parity["tolerance"]


def test_every_figure_the_report_and_every_plot_are_there(workspace):
    pictures = sorted((workspace / "plots/png").glob("*.png"))
    assert len(pictures) == 14
    for picture in pictures:
        assert 0 < picture.stat().st_size < 150_000
        assert (workspace / "plots/svg" / f"{picture.stem}.svg").stat().st_size > 0
    page = (workspace / "plots/report.html").read_text()
    moving = sorted((workspace / "plots/webp").glob("*.webp"))
    assert len(moving) == 2 * 3  # axes, each with a still
    assert sum(4 / 3 * picture.stat().st_size for picture in moving) < 1_000_000
    assert page.count("<img") == len(pictures) + 3
    assert len(page) < 3_000_000
    shown = json.loads(call(workspace, "dvc", "plots", "show", "--json"))
    assert not shown.get("errors")
    declared = yaml.safe_load((workspace / "dvc.yaml").read_text())["plots"]
    for name, plot in [next(iter(entry.items())) for entry in declared]:
        (table,) = plot["y"]
        rows = (workspace / table).read_text().splitlines()[1:]
        drawn = [each["content"]["data"]["values"] for each in shown["data"][name]]
        assert [len(values) for values in drawn] == ([len(rows)] if rows else [])


@pytest.mark.full
def test_costs_are_measured_of_every_forecaster_and_change_the_figures_and_the_report(workspace):
    assert "`make cost` measures them" in (workspace / "plots/report.html").read_text()
    call(workspace, "python", "benchmarks/cost.py", "--rounds", "1")
    rows = {row["name"]: row for row in read_csv(workspace / "plots/cost.csv")}
    # The smoke scale's frames have 16² points, which leaves no coarser grid to the solver.
    assert list(rows) == ["unet", "fractal_unet", "persistence", "linear", "solver_32", "data"]
    parity = json.loads((workspace / "metrics/parity.json").read_text())
    class_of_study = yaml.safe_load((workspace / "metrics/provenance.yaml").read_text())["bytes"]
    assert {row["device"] for row in rows.values()} == {class_of_study}
    for name, row in rows.items():
        trained = name in parity
        assert row["macs"] == (str(parity[name]["macs"]) if trained else "")
        assert (row["num_points"], row["simulated_points"]) == (
            ("", "") if trained else ("16", "32")
        )
        assert float(row["ms_per_frame"]) > 0
        assert bool(row["ms_per_frame_batch"]) == (name != "data")
        assert bool(row["ms_per_training_sample"]) == trained
    printed = call(workspace, "dvc", "repro")
    assert set(re.findall(r"Running stage '(.*)'", printed)) == {"figures", "report"}
    page = (workspace / "plots/report.html").read_text()
    assert "measures them" not in page
    assert "Break-even" in page


def test_a_probe_that_is_left_out_leaves_a_message_in_its_place(workspace):
    set_param(workspace, "probe_names", ["spectra"])
    for name in ("aggregate", "figures", "report"):
        stage(workspace, name)
    assert not (workspace / "plots/tables/rome.csv").read_text().strip()
    assert not (workspace / "metrics/tables/rome.csv").exists()
    assert "rome" not in json.loads((workspace / "metrics/probes.json").read_text())["unet"]
    assert (workspace / "plots/report.html").read_text().count("<img") == 14 + 3


def test_second_repro_has_nothing_to_do(workspace):
    printed = call(workspace, "dvc", "repro")
    assert "Running stage" not in printed
    assert "is cached" not in printed
    assert call(workspace, "git", "status", "--porcelain") == ""


def test_clone_without_data_knows_that_the_lock_is_current(finished, tmp_path):
    clone = tmp_path / "clone"
    call(tmp_path, "git", "clone", "--quiet", str(finished), str(clone))
    assert "Running stage" not in call(clone, "dvc", "repro", "--allow-missing", "--dry")


def make(workspace, *arguments, expect=0, environment=ENVIRONMENT):
    """Run make, which takes the tests' own environment for the one that it would install."""
    (workspace / ".venv").mkdir()
    (workspace / ".venv/installed").touch()
    return call(workspace, "make", *arguments, expect=expect, environment=environment)


def test_side_by_side_from_nothing_gives_the_bytes_of_one_after_another(finished, workspace):
    """Every stage is a fresh process, too, which a fork has to equal (tests/warm.py)."""
    set_param(workspace, "probe_names", ["spectra"])
    set_param(workspace, "replicates", [0])
    shutil.rmtree(workspace / "checkpoints")
    shutil.rmtree(workspace / ".dvc/cache")
    (workspace / "dvc.lock").unlink()
    printed = make(workspace, "repro", "JOBS=2", environment=FRESH)
    for name in ("train", "evaluate", "probe"):
        assert f"Running stage '{name}@" in printed
    # The hash of every output; a new file lists the stages in the order in which they ended.
    locks = [yaml.safe_load((run / "dvc.lock").read_text()) for run in (finished, workspace)]
    cells = r"(generate|train|evaluate|probe)@"
    alone, beside = ({n: s for n, s in k["stages"].items() if re.match(cells, n)} for k in locks)
    assert beside == {name: alone[name] for name in beside}
    left_out = {name for name in alone if re.match("probe@(?!spectra-)|.*-1$", name)}
    assert alone.keys() - beside.keys() == left_out
    assert "Running stage" not in call(workspace, "dvc", "repro")


def test_one_failed_cell_stops_the_rest_with_its_message(workspace):
    set_param(workspace, "train.lr", 1e6)
    shutil.rmtree(workspace / "metrics/runs")
    printed = make(workspace, "repro", "JOBS=2", expect=2)
    assert "error: training diverged: " in printed
    started = re.findall(r"Running stage '(\w+)@", printed)
    assert 1 <= started.count("train") <= 2, "cells that run beside it end; no other starts"
    assert not {"evaluate", "probe"} & set(started)
    assert not (workspace / "metrics/runs").exists()


def run_experiment(workspace, *overrides):
    """Run an experiment up to its summaries and return what dvc printed."""
    settings = (f"--set-param={override}" for override in overrides)
    return call(workspace, "dvc", "exp", "run", *settings, "aggregate")


def test_seed_retrains_every_network_and_touches_no_dataset(workspace):
    printed = run_experiment(workspace, "scale=smoke", "seed=1", "probe_names=[spectra]")
    params = yaml.safe_load((workspace / "params.yaml").read_text())
    for model in params["model_names"]:
        for replicate in params["replicates"]:
            assert f"Running stage 'train@{model}-{replicate}'" in printed
    assert "Running stage 'generate" not in printed
    diff = call(workspace, "dvc", "metrics", "diff", "--md", "--no-path", "--targets",
                "metrics/summary.json")  # fmt: skip
    assert "unet.ind.nrmse" in diff


def reached(scratch, lines):
    """Whether a training has left a state, and so many lines of history."""
    histories = [path.read_text().splitlines() for path in scratch.glob("*/history.csv")]
    written = [len(history) - 1 for history in histories]  # less the header
    return bool(list(scratch.glob("*/state"))) and max(written, default=0) >= lines


def test_killed_at_any_moment_training_ends_with_the_same_lock(finished, workspace):
    expected = (finished / "dvc.lock").read_bytes()
    generator = np.random.default_rng(0)
    checkpoint = workspace / "checkpoints/unet/0/model.safetensors"
    whole = checkpoint.read_bytes()
    resumed = 0
    shutil.rmtree(workspace / ".dvc/cache")
    command = ["python", "-m", "chimera.stages.train", "--model", "unet", "--replicate", "0"]
    for again in (*[command] * 4, ["dvc", "repro", "--single-item", "train@unet-0"]):
        checkpoint.unlink()
        process = subprocess.Popen(
            command, cwd=workspace, env=ENVIRONMENT, stderr=subprocess.PIPE, start_new_session=True
        )
        scratch = workspace / ".scratch/train-unet-0"
        # Moments are told by what the run has done, so that a fast machine is killed in time too:
        # after its first state, or with one or two lines of four in its history.
        lines = generator.integers(3)
        while process.poll() is None and not reached(scratch, lines):
            time.sleep(0.001)
        time.sleep(generator.uniform(0.0, 0.02))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        resumed += bool(list(scratch.glob("*/state")))
        call(workspace, *again)
        assert checkpoint.read_bytes() == whole
        assert not list(scratch.glob("*/state"))
    assert resumed >= 3, "too few kills fell into the training to show anything"
    assert (workspace / "dvc.lock").read_bytes() == expected


def test_training_reads_the_train_and_valid_splits_alone(workspace):
    whole = (workspace / "checkpoints/unet/0/model.safetensors").read_bytes()
    for dataset in (workspace / "data").glob("cfd2d_*"):
        if "_ood_" in dataset.name:
            shutil.rmtree(dataset)
    shutil.rmtree(workspace / "data/cfd2d_ind_v2/data/test")
    stage(workspace, "train", "--model", "unet", "--replicate", "0")
    assert (workspace / "checkpoints/unet/0/model.safetensors").read_bytes() == whole


def test_one_flipped_byte_fails_the_gate(workspace):
    name = "data/cfd2d_ind_v2/data/train/cfd2d_ind_v2_train.hdf5"
    path = workspace / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    error = sentence(stage(workspace, "verify", expect=2))
    expected = yaml.safe_load((workspace / "data/cfd2d_ind_v2/checksums.yaml").read_text())
    recorded = next(entry["sha256"] for entry in expected["files"] if entry["path"] == name)
    assert name in error
    assert recorded in error
    assert sentence(command(workspace, "intact", expect=2)) == error
    assert json.loads((workspace / "metrics/verify.json").read_text())["mismatched"] == 1
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    stage(workspace, "verify")


BAD = {
    "validate": [
        ("train.batch_sizes", 3, ["train.batch_sizes", "did you mean batch_size"]),
        ("train.lr", "fast", ["train.lr", "'fast'", "a number"]),
        ("models.unet.norm", "gruop", ["models.unet", "norm", "gruop", "group"]),
        ("baseline", "unett", ["baseline", "unett", "unet"]),
        ("probes.rome.num_key", 1, ["probes.rome.num_key", "did you mean num_keys"]),
        ("probes.patching.pairs", 1, ["probes.patching.pairs is 1", "at least 2"]),
    ],
    "parity": [("models.fractal_unet.channels", [8, 16, 32], ["fractal_unet", "solve_widths"])],
    "generate": [
        (
            "data.datasets.cfd2d_ood_amplitude_v2.max_speed",
            0.5,
            ["trajectory", "CFL", "time"],
        )
    ],
}


@pytest.mark.parametrize("name", BAD)
def test_bad_parameters_are_one_sentence_and_stop_dvc(workspace, name):
    before = (workspace / "params.yaml").read_bytes()
    arguments = ["--dataset", "cfd2d_ood_amplitude_v2"] if name == "generate" else []
    for key, value, fragments in BAD[name]:
        (workspace / "params.yaml").write_bytes(before)
        set_param(workspace, key, value)
        error = sentence(stage(workspace, name, *arguments, expect=2))
        assert all(fragment in error for fragment in fragments), error
    failed = call(workspace, "dvc", "repro", expect=255)
    assert "failed to reproduce" in failed
    assert error in failed
    (workspace / "params.yaml").write_bytes(before)
    call(workspace, "dvc", "repro")
    assert call(workspace, "git", "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("name", "keys", "said"),
    [
        ("train", "--model unet --replicate 7", "--replicate is 7, expected one of 0, 1"),
        ("evaluate", "--model vgg --replicate 0", "--model is vgg, expected one of unet, fractal_"),
        ("generate", "--dataset cfd2d_ood_x_v2", "--dataset is cfd2d_ood_x_v2, expected one of"),
    ],
)
def test_a_cell_that_the_study_does_not_have_is_refused(workspace, name, keys, said):
    assert said in sentence(stage(workspace, name, *keys.split(), expect=2))
    assert not (workspace / "checkpoints/unet/7").exists()
    assert call(workspace, "git", "status", "--porcelain") == ""


def test_identical_pair_fails_the_gate(workspace):
    params = yaml.safe_load((workspace / "params.yaml").read_text())
    set_param(workspace, "models.fractal_unet", params["models"]["unet"])
    error = sentence(stage(workspace, "parity", expect=2))
    assert "unet" in error
    assert "same graph" in error


def test_truncated_or_missing_files_are_one_sentence_and_come_back(workspace):
    checkpoint = workspace / "checkpoints/unet/0/model.safetensors"
    data = workspace / "data/cfd2d_ood_decay_v2/data/test/cfd2d_ood_decay_v2_test.hdf5"
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: len(whole) // 2])
    data.unlink()
    error = sentence(stage(workspace, "evaluate", "--model", "unet", "--replicate", "0", expect=2))
    assert "checkpoints/unet/0/model.safetensors" in error
    error = sentence(stage(workspace, "verify", expect=2))
    assert data.relative_to(workspace).as_posix() in error
    call(workspace, "dvc", "repro")
    assert checkpoint.read_bytes() == whole
    stage(workspace, "verify")


def test_every_run_has_every_probe(finished):
    params = yaml.safe_load((finished / "params.yaml").read_text())
    summary = json.loads((finished / "metrics/probes.json").read_text())
    for model in params["model_names"]:
        for probe in params["probe_names"]:
            runs = [
                json.loads((finished / f"metrics/runs/{model}/{r}/{probe}.json").read_text())
                for r in params["replicates"]
            ]
            for name in set.union(*map(set, runs)) - {"rows"}:
                values = [run[name] for run in runs if name in run]
                assert summary[model][probe][name] == pytest.approx(np.mean(values), rel=SIX_DIGITS)
                assert np.isfinite(values).all()


@pytest.mark.full  # what a probe reruns is seen in test_touch, too
def test_a_setting_of_one_probe_reruns_that_probe_and_what_follows(workspace):
    printed = run_experiment(workspace, *SMOKE, "replicates=[0]", "probes.patching.pairs=3")
    ran = set(re.findall(r"Running stage '([^']+)'", printed))
    params = yaml.safe_load((workspace / "params.yaml").read_text())
    cells = {f"{m}-{r}" for m in params["model_names"] for r in params["replicates"]}
    expected = {f"probe@patching-{cell}" for cell in cells} | {"aggregate"}
    networks = {f"networks@{model}" for model in params["model_names"]}
    assert expected <= ran <= expected | networks | {"validate"}


def test_a_checkpoint_that_is_not_finite_is_one_sentence(workspace):
    path = workspace / "checkpoints/unet/0/model.safetensors"
    weights, about = read_tensors(path)
    weights["bottleneck.first.conv.weight"][0] = float("nan")
    write_tensors(path, weights, about)
    for probe in yaml.safe_load((workspace / "params.yaml").read_text())["probe_names"]:
        result = workspace / f"metrics/runs/unet/0/{probe}.json"
        before = result.read_bytes()
        arguments = ["--probe", probe, "--model", "unet", "--replicate", "0"]
        error = sentence(stage(workspace, "probe", *arguments, expect=2))
        assert "NaN or infinite" in error
        assert result.read_bytes() == before


def test_misspelt_overrides_are_one_sentence(workspace):
    before = (workspace / "params.yaml").read_bytes()
    for override in (
        "trian.lr=1",
        "scale=smok",
        "model@models.unet=unet_lrge",
        "modle@models.unet=unet",
    ):
        error = sentence(command(workspace, "compose", override, expect=2))
        assert override.split("=")[0].split("@")[0].split(".")[0] in error
        assert (workspace / "params.yaml").read_bytes() == before
    for override in ("trian.lr=1", "scale=smok"):  # a setting, and a file of conf/
        call(workspace, "dvc", "exp", "run", "-S", override, expect=255)


def test_compose_writes_what_dvc_composes(workspace):
    command(workspace, "compose", "scale=smoke", "train.lr=1e-3", "replicates=[0]")
    composed = (workspace / "params.yaml").read_bytes()
    call(workspace, "git", "checkout", "--quiet", "params.yaml")
    overrides = ["-S", "scale=smoke", "-S", "train.lr=1e-3", "-S", "replicates=[0]"]
    call(workspace, "dvc", "exp", "run", *overrides, "validate")
    assert (workspace / "params.yaml").read_bytes() == composed


def test_compose_check_tells_that_params_differ(workspace):
    error = sentence(command(workspace, "compose", "--check", expect=2))
    assert "params.yaml differs" in error
    command(workspace, "compose", "--check", *SMOKE)


def freeze_running(workspace):
    """Make the running parameters the preregistered pilot."""
    path = workspace / "PREREGISTRATION.md"
    head, block, tail = re.split(r"```yaml\n|```$", path.read_text(), maxsplit=2, flags=re.M)
    plan = yaml.safe_load(block)
    params = yaml.safe_load((workspace / "params.yaml").read_text())
    plan["pilot"] = decisive(params)
    plan["study"]["datasets"] = [f"{name}s" for name in params["datasets"]]
    axes = [axis_name(name, params["datasets"]) for name in params["datasets"]]
    plan["secondary"] = [name for name in endpoint_names(axes) if name != plan["primary"]]
    plan["weights"] = dict.fromkeys(axes[1:], 1.0)
    path.write_text(f"{head}```yaml\n{yaml.safe_dump(plan)}```{tail}")


def test_statistics_are_those_of_the_declared_endpoints(finished):
    report = json.loads((finished / "metrics/stats.json").read_text())
    runs = {
        (model, r): json.loads((finished / f"metrics/runs/{model}/{r}/evaluate.json").read_text())
        for model in ("unet", "fractal_unet")
        for r in (0, 1)
    }
    ln = {
        cell: np.mean(np.log(run["model"]["cfd2d_ind_v2"]["nrmse"])) for cell, run in runs.items()
    }
    differences = [ln["fractal_unet", r] - ln["unet", r] for r in (0, 1)]
    row = report["fractal_unet"]["ind_nrmse"]
    assert row["estimate"] == pytest.approx(np.mean(differences), rel=SIX_DIGITS)
    assert row["n"] == report["replicates"] == 2
    primary = report["fractal_unet"]["ood_nrmse"]
    for name in ("estimate", "ci_low", "ci_high", "p", "q", "cohens_dz", "hedges_gz"):
        assert np.isfinite(primary[name])
    assert primary["cs_low"] == primary["cs_high"] == "unbounded"
    assert report["fractal_unet"]["verdict"] == "undecided"
    assert report["fractal_unet"]["further"] > 5
    shares = [
        row["variance_share"]
        for row in report["fractal_unet"].values()
        if isinstance(row, dict) and "variance_share" in row
    ]
    assert sum(shares) == pytest.approx(1, rel=1e-4)
    assert report["standing"] == "exploratory", "the smoke scale is not what was preregistered"
    assert report["confirmatory"] == 0
    assert report["deviations"] > 0


def test_another_seed_is_one_deviation_and_never_blocked(workspace):
    freeze_running(workspace)
    call(workspace, "dvc", "repro", "stats")
    report = json.loads((workspace / "metrics/stats.json").read_text())
    assert (report["standing"], report["deviations"]) == ("pilot", 0)
    set_param(workspace, "seed", 1)
    stage(workspace, "stats")
    report = json.loads((workspace / "metrics/stats.json").read_text())
    assert (report["standing"], report["deviations"]) == ("exploratory", 1)


def test_a_deviation_needs_an_entry_and_entries_stay(workspace):
    freeze_running(workspace)
    stage(workspace, "stats", "--check-deviations")
    set_param(workspace, "train.steps", 41)
    error = sentence(stage(workspace, "stats", "--check-deviations", expect=2))
    assert "train.steps is 41, frozen as 20" in error
    assert "train.lr" not in error
    wrong = command(workspace, "log", "deviation", "--key", "train.lr", "why", expect=2)
    assert "expected a parameter that deviates: train.steps" in sentence(wrong)
    command(workspace, "log", "deviation", "--key", "train.steps", "one step more")
    command(workspace, "log", "amendment", "the scale of the tests")
    stage(workspace, "stats", "--check-deviations")
    commit(workspace)
    command(workspace, "log", "check", "--base", "HEAD")
    log = workspace / "Deviation_Log.md"
    log.write_text(log.read_text().replace("one step more", "no reason"))
    error = sentence(command(workspace, "log", "check", "--base", "HEAD", expect=2))
    assert "Deviation_Log.md was edited" in error
