"""What conf/ does not have is named in one sentence, with what may be meant."""

import shutil

import pytest
import yaml

from chimera.commands import compose as command
from chimera.interface.errors import InputError
from chimera.planning.composition import compose
from workspaces import ROOT, call, commit

CONF = ROOT / "conf"


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("train.lrr=1", "conf/ has no key 'train.lrr', expected one such as 'train.lr'"),
        ("lr=1", "conf/ has no key 'lr', expected one such as 'train.lr'"),
        ("~train.ema_deca", "conf/ has no key 'train.ema_deca', expected one such as"),
        ("probe.ib.folds=1", "conf/ has no key 'probe.ib.folds', expected one such as 'probes.ib."),
        (
            "models.unet.channels.x=1",
            "'models.unet.channels.x', expected one such as 'models.unet.c",
        ),
        ("scal=smoke", "conf/ has no key 'scal', expected one such as 'scale'"),
        ("scale=smok", "conf/scale/ has no file 'smok', expected one such as 'smoke'"),
        ("model@models.unet=unett", "conf/model/ has no file 'unett', expected one such as 'unet'"),
        ("+model@models.fno=fnoo", "conf/model/ has no file 'fnoo', expected one such as 'fno'"),
        (
            "model@models.unett=unet",
            "has no key 'model@models.unett', expected one such as 'model@m",
        ),
        ("+modl@models.fno=fno", "conf/ has no group 'modl', expected one such as 'model'"),
        ("zzz=1", "conf/ has no key 'zzz', expected one of data, experiment, scale, seed"),
        ("scale=zzz", "conf/scale/ has no file 'zzz', expected one of gpu, laptop, smoke, study"),
        ("train.lr", "conf/: Error parsing override 'train.lr' missing EQUAL"),
    ],
)
def test_a_misspelt_name_is_one_sentence_with_the_nearest(override, sentence):
    with pytest.raises(InputError) as error:
        compose(["seed=1", override], CONF)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_the_keys_are_those_of_the_groups_that_were_asked_for():
    with pytest.raises(InputError, match=r"no key 'data.rot', expected one such as 'data.root'"):
        compose(["data=well", "data.rot=flows"], CONF)
    with pytest.raises(InputError, match=r"no key 'models.fno.mode', .* 'models.fno.modes'"):
        compose(["+model@models.fno=fno", "models.fno.mode=3"], CONF)


def test_an_element_of_a_list_is_no_misspelling():
    channels = compose(["models.unet.channels.0=9"], CONF)
    assert yaml.safe_load(channels)["models"]["unet"]["channels"][0] == 9
    with pytest.raises(InputError, match=r"'train\.lrr'"):
        compose(["models.unet.channels.0=9", "train.lrr=1"], CONF)


def test_the_command_leaves_params_as_they_were(tmp_path, monkeypatch):
    (tmp_path / "conf").symlink_to(CONF)
    (tmp_path / "params.yaml").write_text("seed: 0\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"'train\.lrr'"):
        command.main(["train.lrr=1"])
    assert (tmp_path / "params.yaml").read_text() == "seed: 0\n"


def test_dvc_says_the_same_sentence_of_its_own_option(tmp_path):
    """Without the plugin it is Hydra's page, and advice to add the misspelt key."""
    call(tmp_path, "git", "init", "--quiet")
    for name in ("conf", ".dvc/plugins"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".dvc/config", ".dvc/.gitignore", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    stage = {"cmd": "true", "params": ["seed"]}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"read": stage}}))
    commit(tmp_path)
    for override, sentence in (
        ("trian.steps=5", "conf/ has no key 'trian.steps', expected one such as 'train.steps'"),
        ("scale=smok", "conf/scale/ has no file 'smok', expected one such as 'smoke'"),
    ):
        printed = call(tmp_path, "dvc", "exp", "run", "--queue", "-S", override, expect=255)
        assert printed.strip() == f"ERROR: {sentence}"
        assert (tmp_path / "params.yaml").read_text() == compose([], CONF)
    printed = call(tmp_path, "dvc", "exp", "run", "--queue", "-S", "seed=choice(4,5)")
    assert printed.count("Queued experiment") == 2
