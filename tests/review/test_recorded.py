"""The comment on runs that were recorded: every count and every arrow derived from their files.

`base` is the smoke scale with two replicates and one probe; `seed`, `width` and `data` change one
setting of it; `kernels` and `other_kernels` are probes of the default run by two kernels of MKL.
"""

import json
import math
import re
import shutil
import statistics
from pathlib import Path

import pytest

from chimera.review.comment import comment
from chimera.review.revisions import merge_base, read_revision
from workspaces import call, commit

RECORDED = Path(__file__).with_name("recorded")


@pytest.fixture
def keep(tmp_path, monkeypatch):
    """Return a function that commits a recorded run on a branch."""
    monkeypatch.chdir(tmp_path)
    call(tmp_path, "git", "init", "--quiet", "--initial-branch", "main")
    shutil.copy(RECORDED / "PREREGISTRATION.md", tmp_path)
    for log in ("Deviation_Log.md", "Decision_Log.md"):
        (tmp_path / log).write_text(f"# {log}\n")
    (tmp_path / "metrics").mkdir()

    def kept(name, branch=None, **files):
        if branch:
            call(tmp_path, "git", "switch", "--quiet", "--create", branch)
        for path in (RECORDED / name).iterdir():
            shutil.copy(path, tmp_path if path.name == "params.yaml" else tmp_path / "metrics")
        for path, text in files.items():
            (tmp_path / path).write_text(text)
        commit(tmp_path)

    return kept


def review(base="main", head="HEAD"):
    text = comment(read_revision(base, merge_base(base, head)), read_revision(head))
    assert len(text) < 65_536
    return text


def leaves(content, prefix=""):
    """Return the numbers of nested mappings by dotted key."""
    found = {}
    for key, value in content.items():
        if isinstance(value, dict):
            found |= leaves(value, f"{prefix}{key}.")
        elif isinstance(value, int | float):
            found[prefix + key] = value
    return found


def read(name, file):
    return leaves(json.loads((RECORDED / name / f"{file}.json").read_text()))


def beyond_two_deviations(name):
    """Return how many metrics of a run and `base` have a spread, and which lie beyond two of it."""
    spread, beyond = 0, set()
    for file in ("summary", "probes", "stats"):
        before, after = read("base", file), read(name, file)
        for key in before.keys() | after.keys():
            stem, _, leaf = key.rpartition(".")
            sds = [side.get(f"{key}_sd") for side in (before, after)]
            if leaf == "estimate":
                has = [side for side in (before, after) if side.get(f"{stem}.cohens_dz")]
                sds = [side[key] / side[f"{stem}.cohens_dz"] for side in has]
            sds = [sd for sd in sds if sd is not None]
            if key.endswith("_sd") or not sds:
                continue
            spread += 1
            pooled = math.sqrt(statistics.fmean(sd**2 for sd in sds))  # two replicates on each side
            if key not in before or key not in after:
                continue
            change = after[key] - before[key]
            if pooled and abs(change) > 2 * pooled and abs(change) > 1e-5 * abs(before[key]):
                beyond.add(key)
    return spread, beyond


def bold(text):
    """Return the metrics of the tables whose change is in bold."""
    return set(re.findall(r"^\| `(\S+)` \|.*\*\*.*\|$", text, re.MULTILINE))


@pytest.mark.parametrize("name", ["seed", "width", "data"])
def test_bold_is_what_lies_beyond_two_pooled_deviations(keep, name):
    keep("base")
    keep(name, "work")
    text = review()
    spread, beyond = beyond_two_deviations(name)
    assert f"- {len(beyond)} of {spread} metrics changed by more than 2 sd, in bold." in text
    assert bold(text) == beyond
    # Student's t with two degrees of freedom: 1 - 2 / sqrt(2 + 2^2) of it lies beyond 2
    assert f"with probability {1 - 2 / math.sqrt(6):.2g}." in text


def arrows(text):
    """Return whether IND and OOD error of each forecaster changed."""
    rows = re.findall(r"^\| (\w+) \| (.+?) \| (.+?) \| .+ \|$", text, re.MULTILINE)
    return {row[0]: ("→" in row[1], "→" in row[2]) for row in rows if row[0] != "nRMSE"}


def test_a_seed_moves_networks_alone(keep):
    keep("base")
    keep("seed", "work")
    text = review()
    found = arrows(text)
    assert found["unet"] == found["fractal_unet"] == (True, True)
    assert found["persistence"] == found["linear"] == (False, False)
    assert "1 parameters" in text
    assert "| `seed` | `0` | `1` |" in text
    before, after = (
        json.loads((RECORDED / name / "stats.json").read_text())["fractal_unet"]
        for name in ("base", "seed")
    )
    verdict = "**Primary contrast fractal_unet.ood_nrmse**, difference of ln errors"
    now, was = (
        f"{side['verdict']}; {side['ood_nrmse']['estimate']:+.3f}" for side in (after, before)
    )
    line = next(line for line in text.splitlines() if line.startswith(verdict))
    assert line.index(now) < line.index(f"was {was}")


def test_a_width_moves_its_own_network_and_the_gate_of_parity(keep):
    keep("base")
    keep("width", "work")
    text = review()
    found = arrows(text)
    assert found["fractal_unet"] == (True, True)
    assert found["unet"] == found["persistence"] == (False, False)
    assert "| `models.fractal_unet.channels` | `[5, 5, 18]` | `[5, 5, 17]` |" in text
    gap = read("width", "parity")["fractal_unet.params_gap"]
    assert f"✅ parity: fractal_unet.params_gap {100 * gap:+.1f}%" in text


def test_other_data_move_whatever_is_measured_on_them_and_count_as_unfrozen(keep):
    keep("base")
    keep("data", "work")
    text = review()
    found = arrows(text)
    for forecaster in ("unet", "fractal_unet", "persistence", "linear"):
        assert found[forecaster] == (False, True)
    assert "| `data.datasets.cfd2d_ood_amplitude_v2.forcing.amplitude` | `2.0` | `1.8` |" in text
    unfrozen = read("data", "verify")["unfrozen"]
    assert unfrozen > 0
    assert f"{unfrozen} unfrozen" in text


def test_other_kernels_are_no_finding(keep):
    keep("base")
    for name in ("summary", "stats", "parity", "verify"):
        Path(f"metrics/{name}.json").unlink()
    keep("kernels")
    keep("other_kernels", "work", **{"metrics/provenance.yaml": "bytes: aarch64 default\n"})
    text = review()
    assert "Computed by another class of processor: `aarch64 default`, base `x86-64 avx2`." in text
    before, after = (read(name, "probes") for name in ("kernels", "other_kernels"))
    moved = {
        key
        for key in after
        if not key.endswith("_sd") and not math.isclose(before[key], after[key], rel_tol=1e-5)
    }
    assert len(moved) > 10
    assert f"probes: {len(moved)} of " in text
    assert bold(text) == set()


def test_a_merge_of_main_leaves_the_comment_as_it_was(keep, tmp_path):
    keep("base")
    keep("seed", "work")
    before = review()
    call(tmp_path, "git", "switch", "--quiet", "main")
    (tmp_path / "README.md").write_text("# Elsewhere\n")
    commit(tmp_path)
    call(tmp_path, "git", "switch", "--quiet", "work")
    call(tmp_path, "git", "merge", "--quiet", "--no-edit", "main")
    after = review()

    def without_hashes(text):
        return re.sub(r"\b[0-9a-f]{9}\b", "", text)

    assert after != before
    assert without_hashes(after) == without_hashes(before)
