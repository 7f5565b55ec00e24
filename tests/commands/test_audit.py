"""A finished study passes the audit without the project's environment; no wrong digit does."""

import json
import re
import shutil
import subprocess
import sys
import time
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import yaml

from chimera.commands import audit
from chimera.files import artifacts
from chimera.review.claims import (
    Kept,
    page_claims,
    report_sentences,
    study_claims,
    wrong_claims,
)
from chimera.review.leaves import wrong_leaves
from chimera.review.records import record_files
from workspaces import ENVIRONMENT, ROOT, call, command, commit, sentence

# Runs the audit where nothing but these and Python's own modules can be imported.
ALONE = """
import sys
sys.path.insert(0, sys.argv.pop(1))
allowed = {*sys.stdlib_module_names, "numpy", "scipy", "yaml", "_yaml", "chimera"}

class Fence:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in allowed and not top.startswith("_sysconfigdata"):
            raise ModuleNotFoundError(f"{name} is not installed", name=name)

sys.meta_path.insert(0, Fence())
from chimera.commands.audit import main
main()
"""


@pytest.fixture
def study(recorded, tmp_path):
    """Return a record that a test may damage."""
    shutil.copytree(recorded / "records/E1", tmp_path / "E1")
    return tmp_path / "E1"


def faults(study):
    """Return the faults by the first word of their claim."""
    return {claim.text.split()[0]: claim.faults for claim in study_claims(Kept(study))}


def test_a_record_passes_alone_within_ten_seconds(recorded):
    began = time.process_time()
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(ROOT / "src"), "records/E1"],
        cwd=recorded,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("pass  records/E1: ") == 11
    assert done.stdout.endswith("11 claims, 0 wrong\n")
    assert time.process_time() - began < 10
    words = "import sys; from chimera.commands import audit; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", words], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert not {"torch", "msgspec", "h5py", "lazy_loader", "dvc"} & set(loaded.stdout.split())


def with_another_digit(text, rng):
    """Return a number with one of its digits changed, never to a number that is the same."""
    places = [i for i, c in enumerate(text.partition("e")[0]) if c.isdigit()]
    place = places[rng.integers(len(places))]
    digit = (int(text[place]) + 1 + rng.integers(9)) % 10
    changed = f"{text[:place]}{digit}{text[place + 1 :]}"
    return changed if float(changed) != float(text) else with_another_digit(text, rng)


def numbers(value, path=()):
    """Yield the path to every number in nested mappings."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from numbers(inner, (*path, name))
    elif isinstance(value, int | float):
        yield path, value


def plant_in_json(path, rng, number, usable):
    """Change a digit of some numbers of a file and return their keys."""
    content = json.loads(path.read_text())
    places = [place for place, value in numbers(content) if usable(".".join(place), value)]
    chosen = [places[i] for i in rng.choice(len(places), number, replace=False)]
    for *parents, last in chosen:
        row = content
        for name in parents:
            row = row[name]
        row[last] = type(row[last])(float(with_another_digit(f"{row[last]:.6g}", rng)))
    path.write_text(json.dumps(content, indent=2))
    return [".".join(place) for place in chosen]


# Of each file: plants, and the claim that has to name each of them.
NUMBERS = {
    "summary": (12, "metrics/summary.json"),
    "stats": (16, "metrics/stats.json"),
    "probes": (8, "metrics/probes.json"),
    "headline": (4, "metrics/headline.json"),
    "parity": (2, "metrics/parity.json"),
    "verify": (2, "metrics/verify.json"),
}


def usable(name, key, value):
    """Whether the claim of a file has to name this number; dvc.lock covers the others."""
    if name == "parity":
        return key.endswith("_gap")
    return name != "verify" or key in {"files", "exact", "unfrozen"}


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_wrong_digit_of_the_metrics_is_named(study, name, seed):
    number, claim = NUMBERS[name]
    path = study / f"metrics/{name}.json"
    keys = plant_in_json(path, np.random.default_rng(seed), number, partial(usable, name))
    assert len(keys) == number
    found = faults(study)
    for key in keys if name != "verify" else ():
        assert any(fault.startswith(f"{key} is ") for fault in found[claim]), (key, found[claim])
    assert found[claim]
    assert any(f"metrics/{name}.json has the md5" in fault for fault in found["dvc.lock"])


# Digits that are planted in the committed files, one at a time: how many in each.
IN_BOTH = {
    "params.yaml": 2, "PREREGISTRATION.md": 2, "Deviation_Log.md": 1, "constraints-numerics.txt": 1,
    "metrics/errors.csv": 2, "metrics/summary.json": 2, "metrics/stats.json": 2,
    "metrics/parity.json": 2, "metrics/verify.json": 1, "plots/tables/errors.csv": 1,
    "plots/tables/rollout.csv": 1, "plots/tables/training.csv": 1, "plots/png/forest.png": 1,
    "data/manifests/IND_MANIFEST.yaml": 1, "data/manifests/study/OOD_MANIFEST.yaml": 1,
    "tuning/trials.csv": 1, "tuning/repeats.csv": 1, "tuning/metrics.json": 1, "dvc.lock": 2,
}  # fmt: skip
IN_CLONE = {
    "metrics/probes.json": 2, "metrics/statistics.csv": 2, "metrics/provenance.yaml": 1,
    "metrics/headline.json": 1,
    "plots/cost.csv": 1, "plots/tables/ib.csv": 1, "plots/tables/patching.csv": 1,
    "plots/tables/rome.csv": 1, "plots/tables/spectra.csv": 1, "plots/tables/twonn.csv": 1,
    "README.md": 6,
}  # fmt: skip
IN_RECORD = {
    "dvc.yaml": 1, "provenance.yaml": 1, "croissant.json": 1, "ro-crate-metadata.json": 2,
    "plots/report.html": 1, "metrics/gates/verify/training.yaml": 1,
    "metrics/gates/verify/evaluation.yaml": 1,
}  # fmt: skip
PLANTED = [
    (folder, name, seed)
    for folder, numbers in {".": IN_BOTH | IN_CLONE, "records/E1": IN_BOTH | IN_RECORD}.items()
    for name, number in numbers.items()
    for seed in range(number)
]
# Where a file says more than the audit vouches for: README's findings, and what git keeps.
VOUCHED = {
    "README.md": rb"(?s)\n## What was found\n.*?\n\n(\*\*.*?)\n## ",
    "dvc.lock": rb"path: (?:metrics/\w+\.|plots/tables|plots/png|tuning/|params)\S*\n *hash: md5\n"
    rb" *md5: (\w+)",
}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Return what a fresh clone has, its YAML parsed once as long as it is the same."""
    folder = tmp_path_factory.mktemp("clone")
    for name in call(ROOT, "git", "ls-files").splitlines():
        if (ROOT / name).exists() and not name.startswith(("src/", "tests/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(artifacts, "parse_yaml", cache(artifacts.parse_yaml))
        yield folder


@pytest.fixture(scope="module")
def told(clone):
    """Return the studies that README may speak of."""
    return [Kept(Path()), Kept(Path("records/E1"))]


def found_in(folder, name, told):
    """Return the faults of the first claim that has some, of the study or of README."""
    if name == "README.md":
        return next(page_claims(Path(), told)).faults
    claims = study_claims(Kept(Path(folder)))
    return next((claim.faults for claim in claims if claim.faults), [])


@pytest.mark.parametrize(("folder", "name"), [(".", "README.md"), (".", ""), ("records/E1", "")])
def test_what_is_committed_passes(clone, told, folder, name):
    assert len(PLANTED) >= 50
    assert found_in(folder, name, told) == []


@pytest.mark.parametrize(("folder", "name", "seed"), PLANTED)
def test_a_digit_planted_anywhere_is_found(clone, told, folder, name, seed):
    path, rng = Path(folder) / name, np.random.default_rng(seed)
    whole = path.read_bytes()
    if path.suffix == ".png":
        place = rng.integers(len(whole))
        other = whole[place] ^ 1
    else:
        spans = [match.span(1) for match in re.finditer(VOUCHED.get(name, rb"(?s)(.+)"), whole)]
        digits = [at for span in spans for at in range(*span) if whole[at : at + 1].isdigit()]
        place = rng.choice(digits)
        other = ord("0") + (whole[place] - ord("0") + 1 + rng.integers(9)) % 10
    path.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
    try:
        assert found_in(folder, name, told), (place, whole[place - 40 : place + 10], chr(other))
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("seed", range(4))
def test_every_wrong_digit_of_the_table_of_errors_is_named(study, seed):
    path, rng = study / "plots/tables/errors.csv", np.random.default_rng(seed)
    lines = [line.split(",") for line in path.read_text().splitlines()]
    row, column = rng.integers(1, len(lines)), rng.integers(3, len(lines[0]))
    lines[row][column] = with_another_digit(lines[row][column], rng)
    path.write_text("\n".join(map(",".join, lines)) + "\n")
    key = f"{' '.join(lines[row][:3])}.{lines[0][column]} is {float(lines[row][column])}"
    assert any(key in fault for fault in faults(study)["plots/tables/errors.csv"])


@pytest.mark.parametrize("seed", range(4))
def test_every_wrong_digit_of_a_hash_or_a_setting_in_the_lock_is_found(study, seed):
    path, rng = study / "dvc.lock", np.random.default_rng(seed)
    lock = yaml.safe_load(path.read_text())
    kept = {str(file) for file in record_files(study)} | {"data/manifests", "plots/png"}
    items = [item for stage in lock["stages"].values()
             for item in stage.get("deps", []) + stage["outs"] if item["path"] in kept]  # fmt: skip
    item = items[rng.integers(len(items))]
    place = rng.integers(32)
    digit = "0123456789abcdef"[(int(item["md5"][place], 16) + 1 + rng.integers(15)) % 16]
    item["md5"] = item["md5"][:place] + digit + item["md5"][place + 1 :]
    dataset = "cfd2d_ind_v2"
    settings = lock["stages"][f"generate@{dataset}"]["params"]["params.yaml"]
    settings[f"data.datasets.{dataset}"]["drag"] += 0.001
    path.write_text(yaml.safe_dump(lock))
    found = faults(study)["dvc.lock"]
    assert any(item["path"] in fault for fault in found)
    assert any(fault.startswith(f"data.datasets.{dataset}.drag is ") for fault in found)


def test_every_wrong_number_of_readme_is_named(recorded, tmp_path):
    kept = Kept(recorded / "records/E1")
    told = [sentence for sentence in report_sentences(kept) if re.search(r"\d", sentence)]
    head = "# R\n\n## What was found\n\n"
    text = f"{head}{' '.join(told)} Both err less than 95% do.\n\n## More\n"

    def wrong(changed):
        (tmp_path / "README.md").write_text(changed)
        readme, _ = page_claims(tmp_path, [kept])
        return readme.faults

    assert wrong(text) == []
    rng, planted = np.random.default_rng(0), 0
    for match in list(re.finditer(r"\d+(\.\d+)?", text[len(head) :]))[:40]:
        start, end = match.start() + len(head), match.end() + len(head)
        digit = with_another_digit(text[start:end], rng)
        faults = wrong(text[:start] + digit + text[end:])
        assert any(f"{digit}" in fault for fault in faults), match[0]
        planted += 1
    assert planted >= 10
    (fault,) = wrong("# R\n\n## More\n")
    assert "no section" in fault


def test_a_wrong_number_of_docs_is_named_with_the_study_s_own(recorded, tmp_path):
    kept = Kept(recorded / "records/E1")
    sentence = next(s for s in report_sentences(kept) if s.startswith("Over "))
    (tmp_path / "docs").mkdir()
    for page in ("right", "wrong"):
        (tmp_path / f"docs/{page}.md").write_text(f"Text.\n\n{sentence} It costs 12%, or 1.\n")
    _, docs = page_claims(tmp_path, [kept])
    assert docs.faults == []
    number = re.search(r"[\d.]+%", sentence)[0]
    changed = sentence.replace(number, "77.7%", 1)
    (tmp_path / "docs/wrong.md").write_text(changed.replace(" ", "\n", 3))  # however it is wrapped
    _, docs = page_claims(tmp_path, [kept])
    assert docs.faults == [f"docs/wrong.md says 77.7%, the study {number}: {changed}"]


def test_a_commit_is_told_of_its_own_claims(recorded, tmp_path, monkeypatch):
    workspace = tmp_path / "chimera"
    shutil.copytree(recorded, workspace, symlinks=True)
    monkeypatch.chdir(workspace)
    (workspace / "README.md").write_text("# R\n\n## What was found\n\nIt is 3.1% less.\n\n## M\n")
    commit(workspace)
    (workspace / "README.md").write_text("what lies in the work tree does not count")
    assert wrong_claims("HEAD") == ["README.md says 3.1%, which no study does"]


def test_a_picture_of_another_study_is_found(study):
    picture = study / "plots/png/forest.png"
    picture.write_bytes(picture.read_bytes()[:-1] + b"\0")
    assert [fault.split()[0] for fault in faults(study)["dvc.lock"]] == ["plots/png"]


def test_a_tuning_table_decides_the_rates(study):
    params = Kept(study).params
    rates = dict.fromkeys(params["models"], 0.0625)
    for model, lr in rates.items():
        params["models"][model]["train"] = {"lr": lr}
    (study / "params.yaml").write_text(yaml.safe_dump(params))
    rows = "".join(
        f"{m},{i},{lr * (1 + i)},0,{0.1 + i}\n" for m, lr in rates.items() for i in (0, 1)
    )
    (study / "tuning").mkdir(exist_ok=True)
    (study / "tuning/trials.csv").write_text("model,trial,lr,weight_decay,valid_nrmse\n" + rows)
    best = {"trials": 2, "best_weight_decay": 0, "best_valid_nrmse": 0.1}
    metrics = {model: best | {"best_lr": lr} for model, lr in rates.items()}
    (study / "tuning/metrics.json").write_text(json.dumps(metrics))
    assert not faults(study)["tuning/metrics.json"]
    metrics["unet"]["best_lr"] *= 2
    (study / "tuning/metrics.json").write_text(json.dumps(metrics))
    assert len(faults(study)["tuning/metrics.json"]) == 1
    metrics["unet"]["best_lr"] /= 2
    (study / "tuning/metrics.json").write_text(json.dumps(metrics))
    stats = json.loads((study / "metrics/stats.json").read_text()) | {"standing": "pilot"}
    (study / "metrics/stats.json").write_text(json.dumps(stats))
    assert not faults(study)["tuning/metrics.json"]
    text = (study / "params.yaml").read_text()
    changed = text.replace(f"lr: {rates['unet']}", f"lr: {2 * rates['unet']}")
    assert changed != text
    (study / "params.yaml").write_text(changed)
    assert faults(study)["tuning/metrics.json"]


def test_what_is_missing_is_one_sentence(recorded, study):
    (study / "metrics/errors.csv").unlink()
    error = sentence(command(recorded, "audit", str(study), expect=2))
    assert "E1/metrics/errors.csv is missing" in error
    error = sentence(command(recorded, "audit", "records/other", expect=2))
    assert "records/other/params.yaml is missing" in error
    error = sentence(command(recorded, "record", "E1", expect=2))
    assert "records/E1 exists, expected another name or --replace" in error
    command(recorded, "record", "E1", "--replace")
    error = sentence(command(recorded, "record", "../E1", expect=2))
    assert "NAME is '../E1'" in error


def test_an_unfinished_or_faulty_study_is_not_kept(recorded, tmp_path):
    workspace = tmp_path / "chimera"
    shutil.copytree(recorded, workspace, symlinks=True)
    report = workspace / "plots/report.html"
    report.rename(tmp_path / "report.html")
    error = sentence(command(workspace, "record", "other", expect=2))
    assert "plots/report.html is missing, expected every file of a finished study" in error
    (tmp_path / "report.html").rename(report)
    stats = workspace / "metrics/stats.json"
    stats.write_text(stats.read_text().replace('"n": ', '"n": 1', 1))
    assert "faults, expected none" in sentence(command(workspace, "record", "other", expect=2))
    assert not (workspace / "records/other").exists()


def test_a_wrong_claim_ends_with_status_one(study, monkeypatch, capsys):
    monkeypatch.chdir(study.parent)
    (study / "constraints-numerics.txt").write_text("numpy==1\n")
    with pytest.raises(SystemExit) as ended:
        audit.main(["E1"])
    assert ended.value.code == 1
    printed = capsys.readouterr().out
    assert "FAIL  E1: dvc.lock has the hashes" in printed
    assert "FAIL  E1: the RO-Crate" in printed  # it has the sha256
    assert printed.endswith("11 claims, 2 wrong\n")


def test_a_number_agrees_to_the_digit_written():
    assert wrong_leaves({"a": {"b": 1.23457}}, {"a": {"b": 1.234567}}, 6) == []
    assert wrong_leaves({"a": 1.23458}, {"a": 1.234567}, 6) == ["a is 1.23458, expected 1.23457"]
    assert wrong_leaves({"n": 3}, {"n": 4}, 6) == ["n is 3, expected 4"]
    assert wrong_leaves({}, {"w": "better"}, 6) == ["w is missing, expected better"]
    assert wrong_leaves({"x": 0.1}, {}, 6) == ["x is 0.1, expected no such key"]
    assert wrong_leaves({"z": 0.0}, {"z": 1e-7}, 6) == ["z is 0.0, expected 1e-07"]


@pytest.mark.full
def test_checkpoints_are_evaluated_anew(recorded):
    call(recorded, "git", "add", "--all")
    call(recorded, "git", "commit", "--quiet", "--message", "record")
    printed = call(recorded, "python", "-m", "chimera.commands.audit", "records/E1", "--deep")
    assert "pass  records/E1: 4 of 4 checkpoints have the errors" in printed
    assert Path(recorded / "metrics/runs").exists()
