"""Numbers that no study has are refused before anything runs, whatever key they stand at."""

import copy
import math
import re
import sys
from pathlib import Path

import pytest
import yaml

from chimera.interface.errors import InputError
from chimera.stages import generate, ingest, validate
from workspaces import call, copy_tree

PARAMS = yaml.safe_load((Path(__file__).parents[1] / "params.yaml").read_text())
# A force may point backward, and physics may be as strong as anyone likes: the solver's own limits
# decide what can be computed.
SIGNED = r"data\.datasets\.\w+\.forcing\.(amplitude(\.uniform\.0)?|angle)"
STRONG = (
    r"parity\.tolerance|train\.gradient_clip|data\.domain_extent|data\.datasets\.\w+\."
    r"(viscosity(\.log_uniform\.1)?|drag|forcing\.amplitude(\.uniform\.1)?|forcing\.angle)"
)
ACCEPTED = {math.inf: "", -math.inf: "", math.nan: "", -1: SIGNED, -1e12: SIGNED, 10**12: STRONG}


def places(value, path=()):
    """Yield the path of every number of nested lists and mappings."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


@pytest.mark.parametrize("value", ACCEPTED)
def test_an_absurd_number_is_refused_at_every_key(monkeypatch, value):
    monkeypatch.setattr(validate, "write_deciding", lambda _: None)
    paths = [path for path in places(PARAMS) if path[0] != "scale"]
    assert len(paths) > 150
    for path in paths:
        params = copy.deepcopy(PARAMS)
        section = params
        for key in path[:-1]:
            section = section[key]
        section[path[-1]] = value
        monkeypatch.setattr(validate, "read_params", lambda params=params: params)
        name = ".".join(map(str, path))
        if re.fullmatch(ACCEPTED[value], name):
            validate.main()
        else:
            with pytest.raises(InputError):
                validate.main()


@pytest.mark.parametrize(
    "name", ["../x", "/abs/path", "unet;touch x;echo", "$(x)", "", ".x", "x\n", "a b"]
)
@pytest.mark.parametrize("section", ["models", "probes", "datasets"])
def test_a_name_that_is_a_path_or_a_command_is_refused(monkeypatch, section, name):
    params = copy.deepcopy(PARAMS)
    at = params["data"]["datasets"] if section == "datasets" else params[section]
    at[name] = next(iter(at.values()))
    monkeypatch.setattr(validate, "read_params", lambda: params)
    with pytest.raises(
        InputError, match=rf"{section} has the key {re.escape(repr(name))}, expected text of"
    ):
        validate.main()


@pytest.mark.parametrize("stage", [generate, ingest])
@pytest.mark.parametrize("absolute", [False, True])
def test_a_dataset_s_name_that_is_a_path_replaces_nothing(tmp_path, monkeypatch, stage, absolute):
    """Even without the stage `validate`, which dvc.yaml runs before."""
    work, mine = tmp_path / "work", tmp_path / "mine"
    (work / "data").mkdir(parents=True)
    mine.mkdir()
    (mine / "file").write_text("mine")
    monkeypatch.chdir(work)
    name = str(mine) if absolute else "../../mine"
    params = copy.deepcopy(PARAMS)
    params["datasets"].append(name)
    described = params["data"]["datasets"]
    described[name] = next(iter(described.values()))
    Path("params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.setattr(sys, "argv", ["stage", "--dataset", name])
    with pytest.raises(InputError, match=re.escape(repr(name))):
        stage.main()
    assert [path.name for path in mine.iterdir()] == ["file"]
    assert (mine / "file").read_text() == "mine"


def test_dvc_runs_no_part_of_a_name(tmp_path):
    workspace = tmp_path / "chimera"
    copy_tree(workspace)
    for model in ("unet;touch x;echo", "unet';touch x;'", "$(touch x)"):
        params = copy.deepcopy(PARAMS)
        params["models"][model] = params["models"]["unet"]
        params["model_names"] = ["unet", model]
        (workspace / "params.yaml").write_text(yaml.safe_dump(params))
        printed = call(workspace, "dvc", "repro", expect=255)
        assert f"error: model_names[1] is {model!r}, expected text of" in printed
        assert not list(tmp_path.rglob("x"))
